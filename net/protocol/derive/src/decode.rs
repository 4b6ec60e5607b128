//! Reading: fields in the order of the wire, then, in flexible versions, the tagged ones.

use proc_macro2::TokenStream;
use quote::quote;

use crate::attributes::{Field, Structure};
use crate::expand::default_of;

/// `Value::minimum_size`: the fewest bytes in which a version can carry the struct.
pub(crate) fn minimum_size(structure: &Structure) -> TokenStream {
    let fields = structure.plain().map(|field| {
        let kind = &field.kind;
        let add = quote!(size += <#kind as crate::codec::Value>::minimum_size(version, flexible););
        match field.versions.condition() {
            Some(condition) => quote!(if #condition { #add }),
            None => add,
        }
    });
    quote! {
        fn minimum_size(version: i16, flexible: bool) -> usize {
            let _ = version;
            let mut size = usize::from(flexible);
            #(#fields)*
            size
        }
    }
}

/// `Value::read`.
pub(crate) fn read(structure: &Structure) -> TokenStream {
    let plain = structure.plain().map(|field| {
        let (name, kind) = (&field.name, &field.kind);
        let value = read_field(field);
        match field.versions.condition() {
            Some(condition) => {
                let default = default_of(field);
                quote!(let #name: #kind = if #condition { #value } else { #default };)
            }
            None => quote!(let #name: #kind = #value;),
        }
    });
    let tagged = structure.tagged();
    let tagged_defaults = tagged.iter().map(|(_, field)| {
        let (name, kind, default) = (&field.name, &field.kind, default_of(field));
        quote!(let mut #name: #kind = #default;)
    });
    let tagged_arms = tagged.iter().map(|(tag, field)| {
        let (name, value) = (&field.name, read_field(field));
        let guard = field.versions.condition().map(|condition| quote!(if #condition));
        quote!(#tag #guard => #name = #value,)
    });
    let names = structure.fields.iter().map(|field| &field.name);
    let known = if tagged.is_empty() {
        quote!(|_tag, _reader| Ok(false))
    } else {
        quote! {
            |tag, reader| {
                match tag {
                    #(#tagged_arms)*
                    _ => return Ok(false),
                }
                Ok(true)
            }
        }
    };
    quote! {
        fn read(reader: &mut crate::codec::Reader) -> ::core::result::Result<Self, crate::codec::Malformed> {
            let version = reader.version();
            let _ = version;
            #(#plain)*
            #(#tagged_defaults)*
            reader.tagged_fields(#known)?;
            Ok(Self { #(#names),* })
        }
    }
}

/// An expression that reads a field which the version carries.
fn read_field(field: &Field) -> TokenStream {
    let (Some(inner), Some(nullable)) = (&field.inner, field.nullable) else {
        return quote!(crate::codec::Value::read(reader)?);
    };
    match nullable.condition() {
        Some(condition) if !nullable.contain(field.versions) => quote! {
            if #condition {
                crate::codec::Value::read(reader)?
            } else {
                Some(<#inner as crate::codec::Value>::read(reader)?)
            }
        },
        _ => quote!(crate::codec::Value::read(reader)?),
    }
}
