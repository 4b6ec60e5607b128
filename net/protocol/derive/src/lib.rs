//! The derive macro behind every Kafka message of `flumen-protocol`.
//!
//! `#[derive(Message)]` turns a plain struct into a versioned message. It writes four things: `Default` (the schema's
//! defaults), `Value` (how the struct is read, written and measured at any version), `Message` (only where the struct
//! carries `#[message(…)]`, that is for requests, responses and records of internal topics) and, in test builds,
//! `Generate` (random values that a version can carry).
//!
//! The attributes use the words of Kafka's schema files:
//!
//! | attribute | of | meaning |
//! |---|---|---|
//! | `#[message(versions = "3-13", flexible = "9+")]` | struct | a top-level message; `flexible = "none"` is allowed |
//! | `#[field(versions = "5+", …)]` | field | required: the versions that carry the field |
//! | `nullable = "7+"` | field of type `Option<_>` | the versions in which the field may be null |
//! | `default = EXPRESSION` | field | its value where a version does not carry it, instead of `Default::default()` |
//! | `tag = 0` | field | in every version that carries it, the field is a tagged field with this number |
//! | `ignorable` | field | a writer may drop a value that the version cannot carry |
//!
//! It does not check a struct against Kafka's schemas; the tests of `flumen-protocol` do. The code it writes names
//! `crate::codec`, so it is of use in that crate only.

mod attributes;
mod decode;
mod encode;
mod expand;
mod generate;
mod versions;

use proc_macro::TokenStream;

/// Derives the codec of a Kafka message or of a part of one. See the crate's documentation for the attributes.
#[proc_macro_derive(Message, attributes(message, field))]
pub fn derive_message(input: TokenStream) -> TokenStream {
    let input = syn::parse_macro_input!(input as syn::DeriveInput);
    expand::expand(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}
