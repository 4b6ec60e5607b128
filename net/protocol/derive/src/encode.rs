//! Writing: fields in the order of the wire, then, in flexible versions, the tagged ones that differ from their default.
//!
//! A value that the version cannot carry is dropped; where the field is not ignorable the writer is told, as Kafka's
//! own encoders refuse it.

use proc_macro2::TokenStream;
use quote::quote;

use crate::attributes::{Field, Structure};
use crate::expand::default_of;

/// `Value::write`.
pub(crate) fn write(structure: &Structure) -> TokenStream {
    let plain = structure.plain().map(|field| {
        let value = write_field(field);
        match field.versions.condition() {
            Some(condition) => {
                let refusal = refuse(field);
                quote!(if #condition { #value } #refusal)
            }
            None => value,
        }
    });
    let tagged = structure.tagged();
    let chosen = tagged.iter().enumerate().map(|(at, (_, field))| {
        let (name, kind, default) = (&field.name, &field.kind, default_of(field));
        let (differs, refusal) = (quote!(crate::codec::differs::<#kind>(&self.#name, &#default)), refuse(field));
        match field.versions.condition() {
            Some(condition) => quote!(if #condition { present[#at] = #differs; } #refusal),
            None => quote!(present[#at] = #differs;),
        }
    });
    let written = tagged.iter().enumerate().map(|(at, (tag, field))| {
        let value = write_field(field);
        quote!(if present[#at] { writer.tagged_field(#tag, |writer| { #value }); })
    });
    let count = tagged.len();
    let tagged = if tagged.is_empty() {
        quote!(writer.tagged_field_count(0);)
    } else {
        quote! {
            let mut present = [false; #count];
            #(#chosen)*
            writer.tagged_field_count(present.iter().filter(|present| **present).count());
            #(#written)*
        }
    };
    quote! {
        fn write(&self, writer: &mut crate::codec::Writer) {
            let version = writer.version();
            let _ = version;
            #(#plain)*
            #tagged
        }
    }
}

/// `Value::size_bound`: no version writes more bytes than this.
pub(crate) fn size_bound(structure: &Structure) -> TokenStream {
    let plain = structure.plain().map(|field| {
        let name = &field.name;
        quote!(+ crate::codec::Value::size_bound(&self.#name))
    });
    let tagged = structure.tagged().into_iter().map(|(_, field)| {
        let name = &field.name;
        quote!(+ crate::codec::TAGGED_FIELD_BOUND + crate::codec::Value::size_bound(&self.#name))
    });
    quote! {
        fn size_bound(&self) -> usize {
            crate::codec::VARINT_BOUND #(#plain)* #(#tagged)*
        }
    }
}

/// A statement that writes a field which the version carries.
fn write_field(field: &Field) -> TokenStream {
    let name = &field.name;
    match field.nullable {
        Some(nullable) if !nullable.contain(field.versions) => {
            let label = name.to_string();
            let condition = nullable.condition();
            quote! {
                if #condition {
                    crate::codec::Value::write(&self.#name, writer);
                } else {
                    writer.write_required(&self.#name, #label);
                }
            }
        }
        _ => quote!(crate::codec::Value::write(&self.#name, writer);),
    }
}

/// The `else` of a field whose version does not carry it.
fn refuse(field: &Field) -> TokenStream {
    if field.ignorable {
        return TokenStream::new();
    }
    let (name, kind, default, label) = (&field.name, &field.kind, default_of(field), field.name.to_string());
    quote! {
        else if crate::codec::differs::<#kind>(&self.#name, &#default) {
            writer.refuse(crate::codec::EncodeError::FieldNotInVersion { field: #label, version });
        }
    }
}
