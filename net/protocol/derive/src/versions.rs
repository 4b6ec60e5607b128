//! Version ranges as Kafka's schemas write them: `"3"`, `"3-13"`, `"3+"`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::LitStr;

/// A range of versions, both ends included.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Versions {
    pub(crate) lowest: i16,
    /// `None` is "and all later ones".
    pub(crate) highest: Option<i16>,
}

impl Versions {
    pub(crate) fn parse(literal: &LitStr) -> syn::Result<Self> {
        let text = literal.value();
        let wrong = || syn::Error::new(literal.span(), "versions are written \"3\", \"3-13\" or \"3+\"");
        let number = |part: &str| part.parse::<i16>().map_err(|_| wrong());
        if let Some(lowest) = text.strip_suffix('+') {
            return Ok(Self { lowest: number(lowest)?, highest: None });
        }
        let (lowest, highest) = text.split_once('-').unwrap_or((&text, &text));
        let (lowest, highest) = (number(lowest)?, number(highest)?);
        if lowest > highest {
            return Err(wrong());
        }
        Ok(Self { lowest, highest: Some(highest) })
    }

    /// Whether every version of `other` is one of these.
    pub(crate) fn contain(self, other: Self) -> bool {
        let reaches = match (self.highest, other.highest) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(mine), Some(theirs)) => mine >= theirs,
        };
        self.lowest <= other.lowest && reaches
    }

    /// A condition on the local variable `version`; `None` where it always holds.
    pub(crate) fn condition(self) -> Option<TokenStream> {
        let lowest = self.lowest;
        match (lowest, self.highest) {
            (0, None) => None,
            (_, None) => Some(quote!(version >= #lowest)),
            (0, Some(highest)) => Some(quote!(version <= #highest)),
            (_, Some(highest)) => Some(quote!((#lowest..=#highest).contains(&version))),
        }
    }
}
