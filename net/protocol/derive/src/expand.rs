//! Puts the pieces together: the impls of one struct.

use proc_macro2::TokenStream;
use quote::quote;
use syn::DeriveInput;

use crate::attributes::{Field, Structure, TopLevel};
use crate::{decode, encode, generate};

/// Every impl for the struct in `input`.
pub(crate) fn expand(input: &DeriveInput) -> syn::Result<TokenStream> {
    let structure = Structure::parse(input)?;
    let name = &structure.name;
    let default = default_impl(&structure);
    let minimum_size = decode::minimum_size(&structure);
    let read = decode::read(&structure);
    let write = encode::write(&structure);
    let size_bound = encode::size_bound(&structure);
    let generate = generate::generate(&structure);
    let message = structure.message.as_ref().map(|top_level| message_impl(&structure, top_level));
    Ok(quote! {
        #default

        impl crate::codec::Value for #name {
            #minimum_size
            #read
            #write
            #size_bound
        }

        impl crate::codec::Structure for #name {}

        impl crate::codec::Nullable for #name {
            fn null_size(_flexible: bool) -> usize {
                1
            }

            fn read_nullable(
                reader: &mut crate::codec::Reader,
            ) -> ::core::result::Result<::core::option::Option<Self>, crate::codec::Malformed> {
                crate::codec::read_marked(reader)
            }

            fn write_nullable(value: ::core::option::Option<&Self>, writer: &mut crate::codec::Writer) {
                crate::codec::write_marked(value, writer);
            }
        }

        #message

        #generate
    })
}

/// The value of a field that a version does not carry.
pub(crate) fn default_of(field: &Field) -> TokenStream {
    match &field.default {
        Some(expression) => quote!(#expression),
        None => quote!(::core::default::Default::default()),
    }
}

fn default_impl(structure: &Structure) -> TokenStream {
    let name = &structure.name;
    let fields = structure.fields.iter().map(|field| {
        let (name, default) = (&field.name, default_of(field));
        quote!(#name: #default)
    });
    quote! {
        impl ::core::default::Default for #name {
            fn default() -> Self {
                Self { #(#fields),* }
            }
        }
    }
}

fn message_impl(structure: &Structure, top_level: &TopLevel) -> TokenStream {
    let name = &structure.name;
    let lowest = top_level.versions.lowest;
    let highest = top_level.versions.highest.unwrap_or(i16::MAX);
    let flexible_from = match top_level.flexible {
        Some(flexible) => flexible.lowest,
        None => i16::MAX,
    };
    quote! {
        impl crate::codec::Message for #name {
            const VERSIONS: ::core::ops::RangeInclusive<i16> = #lowest..=#highest;
            const FLEXIBLE_FROM: i16 = #flexible_from;
        }
    }
}
