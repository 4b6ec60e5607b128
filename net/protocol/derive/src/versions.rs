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

#[cfg(test)]
mod tests {
    use proc_macro2::Span;
    use syn::LitStr;

    use super::Versions;

    fn parse(text: &str) -> Option<(i16, Option<i16>)> {
        let versions = Versions::parse(&LitStr::new(text, Span::call_site())).ok()?;
        Some((versions.lowest, versions.highest))
    }

    #[test]
    fn ranges_are_read_as_kafka_writes_them() {
        assert_eq!(parse("3"), Some((3, Some(3))));
        assert_eq!(parse("3-13"), Some((3, Some(13))));
        assert_eq!(parse("3+"), Some((3, None)));
        for wrong in ["", "+", "3-", "-3", "13-3", "three", "3++", "40000"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_range_contains_what_lies_within_it() {
        let range = |lowest, highest| Versions { lowest, highest };
        assert!(range(2, None).contain(range(2, Some(7))));
        assert!(range(2, Some(7)).contain(range(3, Some(7))));
        assert!(!range(2, Some(7)).contain(range(2, None)));
        assert!(!range(3, None).contain(range(2, Some(7))));
    }
}
