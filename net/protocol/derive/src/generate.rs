//! Test builds only: random values of a struct that a given version can carry.

use proc_macro2::TokenStream;
use quote::quote;

use crate::attributes::{Field, Structure};
use crate::expand::default_of;

/// The impl of `Generate`.
pub(crate) fn generate(structure: &Structure) -> TokenStream {
    let name = &structure.name;
    let fields = structure.fields.iter().map(|field| {
        let (name, value) = (&field.name, generate_field(field));
        match field.versions.condition() {
            Some(condition) => {
                let default = default_of(field);
                quote!(#name: if #condition { #value } else { #default })
            }
            None => quote!(#name: #value),
        }
    });
    quote! {
        #[cfg(test)]
        impl crate::generate::Generate for #name {
            fn generate(source: &mut crate::generate::Source) -> Self {
                let version = source.version();
                let _ = version;
                Self { #(#fields),* }
            }
        }
    }
}

fn generate_field(field: &Field) -> TokenStream {
    let (Some(inner), Some(nullable)) = (&field.inner, field.nullable) else {
        return quote!(crate::generate::Generate::generate(source));
    };
    match nullable.condition() {
        Some(condition) if !nullable.contain(field.versions) => quote! {
            if #condition {
                crate::generate::Generate::generate(source)
            } else {
                Some(<#inner as crate::generate::Generate>::generate(source))
            }
        },
        _ => quote!(crate::generate::Generate::generate(source)),
    }
}
