//! What `#[message(…)]` and `#[field(…)]` say.

use syn::{Attribute, Data, DeriveInput, Expr, Fields, GenericArgument, Ident, LitInt, LitStr, PathArguments, Type};

use crate::versions::Versions;

/// A struct that derives `Message`.
pub(crate) struct Structure {
    pub(crate) name: Ident,
    /// Present for a top-level message.
    pub(crate) message: Option<TopLevel>,
    /// In the order of the wire.
    pub(crate) fields: Vec<Field>,
}

/// What `#[message(…)]` says.
pub(crate) struct TopLevel {
    pub(crate) versions: Versions,
    pub(crate) flexible: Option<Versions>,
}

/// One field and what its `#[field(…)]` says.
pub(crate) struct Field {
    pub(crate) name: Ident,
    /// As declared.
    pub(crate) kind: Type,
    /// The `T` of an `Option<T>`.
    pub(crate) inner: Option<Type>,
    pub(crate) versions: Versions,
    pub(crate) nullable: Option<Versions>,
    pub(crate) default: Option<Expr>,
    pub(crate) tag: Option<u32>,
    pub(crate) ignorable: bool,
}

impl Structure {
    pub(crate) fn parse(input: &DeriveInput) -> syn::Result<Self> {
        let Data::Struct(data) = &input.data else {
            return Err(syn::Error::new_spanned(&input.ident, "a message is a struct"));
        };
        let Fields::Named(named) = &data.fields else {
            return Err(syn::Error::new_spanned(&input.ident, "a message has named fields"));
        };
        let message = find(&input.attrs, "message").map(TopLevel::parse).transpose()?;
        let fields = named.named.iter().map(Field::parse).collect::<syn::Result<_>>()?;
        Ok(Self { name: input.ident.clone(), message, fields })
    }

    /// Fields in the order of the wire that are not tagged.
    pub(crate) fn plain(&self) -> impl Iterator<Item = &Field> {
        self.fields.iter().filter(|field| field.tag.is_none())
    }

    /// Tagged fields, lowest tag first, as they must be written.
    pub(crate) fn tagged(&self) -> Vec<(u32, &Field)> {
        let mut tagged: Vec<_> = self.fields.iter().filter_map(|field| Some((field.tag?, field))).collect();
        tagged.sort_by_key(|(tag, _)| *tag);
        tagged
    }
}

impl TopLevel {
    fn parse(attribute: &Attribute) -> syn::Result<Self> {
        let (mut versions, mut flexible) = (None, None);
        attribute.parse_nested_meta(|meta| {
            let literal: LitStr = meta.value()?.parse()?;
            if meta.path.is_ident("versions") {
                versions = Some(Versions::parse(&literal)?);
            } else if meta.path.is_ident("flexible") {
                flexible = if literal.value() == "none" { None } else { Some(Versions::parse(&literal)?) };
            } else {
                return Err(meta.error("known are versions and flexible"));
            }
            Ok(())
        })?;
        let versions = versions.ok_or_else(|| syn::Error::new_spanned(attribute, "versions are missing"))?;
        Ok(Self { versions, flexible })
    }
}

impl Field {
    fn parse(field: &syn::Field) -> syn::Result<Self> {
        let name = field.ident.clone().ok_or_else(|| syn::Error::new_spanned(field, "a message has named fields"))?;
        let attribute =
            find(&field.attrs, "field").ok_or_else(|| syn::Error::new_spanned(field, "#[field(versions = …)] is missing"))?;
        let (mut versions, mut nullable, mut default, mut tag, mut ignorable) = (None, None, None, None, false);
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("versions") {
                versions = Some(Versions::parse(&meta.value()?.parse()?)?);
            } else if meta.path.is_ident("nullable") {
                nullable = Some(Versions::parse(&meta.value()?.parse()?)?);
            } else if meta.path.is_ident("default") {
                default = Some(meta.value()?.parse::<Expr>()?);
            } else if meta.path.is_ident("tag") {
                tag = Some(meta.value()?.parse::<LitInt>()?.base10_parse()?);
            } else if meta.path.is_ident("ignorable") {
                ignorable = true;
            } else {
                return Err(meta.error("known are versions, nullable, default, tag and ignorable"));
            }
            Ok(())
        })?;
        let versions = versions.ok_or_else(|| syn::Error::new_spanned(attribute, "versions are missing"))?;
        let inner = inner_of_option(&field.ty);
        if inner.is_some() != nullable.is_some() {
            return Err(syn::Error::new_spanned(&field.ty, "a field is an Option exactly where it has nullable versions"));
        }
        Ok(Self { name, kind: field.ty.clone(), inner, versions, nullable, default, tag, ignorable })
    }
}

fn find<'input>(attributes: &'input [Attribute], name: &str) -> Option<&'input Attribute> {
    attributes.iter().find(|attribute| attribute.path().is_ident(name))
}

fn inner_of_option(kind: &Type) -> Option<Type> {
    let Type::Path(path) = kind else { return None };
    let last = path.path.segments.last().filter(|segment| segment.ident == "Option")?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    match arguments.args.first()? {
        GenericArgument::Type(inner) => Some(inner.clone()),
        _ => None,
    }
}
