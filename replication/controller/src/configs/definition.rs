//! What is known about one setting: its name, type, default, the values it takes, and where it may be changed.
//!
//! Invariants: a default, where there is one, passes its own rule (a test walks every table). The tables are the only place
//! that names a setting; nothing else lists them. Values are not parsed here ([`super::value`]).

use alloc::string::String;

/// The type of a setting's value, as Kafka's tools show it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ConfigType {
    /// `true` or `false`, in any case.
    Boolean,
    /// Text, trimmed.
    String,
    /// A number of 32 bits.
    Int,
    /// A number of 16 bits.
    Short,
    /// A number of 64 bits.
    Long,
    /// A floating point number.
    Double,
    /// Texts separated by commas.
    List,
    /// The name of a Java class; kept as text here.
    Class,
    /// Text that is never shown.
    Password,
}

impl ConfigType {
    /// The number of this type in DescribeConfigs, version 3 and above.
    #[must_use]
    pub const fn wire(self) -> i8 {
        match self {
            Self::Boolean => 1,
            Self::String => 2,
            Self::Int => 3,
            Self::Short => 4,
            Self::Long => 5,
            Self::Double => 6,
            Self::List => 7,
            Self::Class => 8,
            Self::Password => 9,
        }
    }

    /// The name of the type in error messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Boolean => "BOOLEAN",
            Self::String => "STRING",
            Self::Int => "INT",
            Self::Short => "SHORT",
            Self::Long => "LONG",
            Self::Double => "DOUBLE",
            Self::List => "LIST",
            Self::Class => "CLASS",
            Self::Password => "PASSWORD",
        }
    }
}

/// How much a setting matters to somebody who sets up a broker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Importance {
    /// Look at it before going to production.
    High,
    /// Worth knowing.
    Medium,
    /// For special cases.
    Low,
}

/// Where a broker's setting may be changed while it runs. Topic settings may always be changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UpdateMode {
    /// Only by the configuration a broker starts with.
    ReadOnly,
    /// For one broker.
    PerBroker,
    /// For one broker or as the default of all.
    ClusterWide,
}

/// The rule a parsed value must keep.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Allowed {
    /// Every value of the type.
    Anything,
    /// Numbers from here up.
    AtLeast(i64),
    /// Numbers from the first to the second, both included.
    Between(i64, i64),
    /// One special number, or those from the second to the third.
    OneOrBetween(i64, i64, i64),
    /// Fractions from the first to the second, both included.
    Fraction(f64, f64),
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// One of these texts, in any case.
    OneOfAnyCase(&'static [&'static str]),
    /// A text that is not empty.
    NonEmpty,
    /// A list without repetition; of these texts where any are named.
    ListOf(&'static [&'static str]),
    /// A list of these texts, of which one that is listed again counts once.
    SetOf(&'static [&'static str]),
    /// As `ListOf`, and with at least one element.
    NonEmptyListOf(&'static [&'static str]),
    /// `*`, or a list of `partition:broker`.
    ThrottledReplicas,
    /// A list of `id@host:port`.
    QuorumVoters,
    /// A list of `host:port`.
    HostPorts,
}

/// A broker setting that a topic setting takes its default from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Synonym {
    /// The broker setting.
    pub name: &'static str,
    /// What a number there is multiplied by to have the topic setting's unit.
    pub scale: i64,
}

impl Synonym {
    /// In the same unit.
    #[must_use]
    pub const fn same(name: &'static str) -> Self {
        Self { name, scale: 1 }
    }

    /// Minutes for milliseconds.
    #[must_use]
    pub const fn minutes(name: &'static str) -> Self {
        Self { name, scale: 60 * 1000 }
    }

    /// Hours for milliseconds.
    #[must_use]
    pub const fn hours(name: &'static str) -> Self {
        Self { name, scale: 60 * 60 * 1000 }
    }
}

/// One setting.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Definition {
    /// Its key.
    pub name: &'static str,
    /// The type of its value.
    pub kind: ConfigType,
    /// Its default, as Kafka writes it; none where a setting is unset unless somebody sets it.
    pub default: Option<&'static str>,
    /// The rule its value must keep.
    pub allowed: Allowed,
    /// How much it matters.
    pub importance: Importance,
    /// Where it may be changed; read-only for topics means nothing.
    pub update: UpdateMode,
    /// For a topic's setting: the broker settings that give its default, first one first.
    pub synonyms: &'static [Synonym],
    /// Known and accepted but never listed.
    pub internal: bool,
    /// Whether this broker acts on it.
    pub in_force: bool,
    doc: &'static str,
}

macro_rules! constructor {
    ($function:ident, $kind:ident, $allowed:expr) => {
        /// A setting of this type, unset by default, read-only, of medium importance and without effect.
        pub(super) const fn $function(name: &'static str) -> Definition {
            Definition {
                name,
                kind: ConfigType::$kind,
                default: None,
                allowed: $allowed,
                importance: Importance::Medium,
                update: UpdateMode::ReadOnly,
                synonyms: &[],
                internal: false,
                in_force: false,
                doc: "",
            }
        }
    };
}

constructor!(boolean, Boolean, Allowed::Anything);
constructor!(string, String, Allowed::Anything);
constructor!(int, Int, Allowed::Anything);
constructor!(short, Short, Allowed::Anything);
constructor!(long, Long, Allowed::Anything);
constructor!(double, Double, Allowed::Anything);
constructor!(list, List, Allowed::ListOf(&[]));
constructor!(class, Class, Allowed::Anything);
constructor!(password, Password, Allowed::Anything);

impl Definition {
    pub(super) const fn or(mut self, default: &'static str) -> Self {
        self.default = Some(default);
        self
    }

    pub(super) const fn allow(mut self, allowed: Allowed) -> Self {
        self.allowed = allowed;
        self
    }

    pub(super) const fn at_least(self, least: i64) -> Self {
        self.allow(Allowed::AtLeast(least))
    }

    pub(super) const fn between(self, least: i64, most: i64) -> Self {
        self.allow(Allowed::Between(least, most))
    }

    pub(super) const fn one_of(self, valid: &'static [&'static str]) -> Self {
        self.allow(Allowed::OneOf(valid))
    }

    pub(super) const fn non_empty(self) -> Self {
        self.allow(match self.kind {
            ConfigType::List => Allowed::NonEmptyListOf(&[]),
            _ => Allowed::NonEmpty,
        })
    }

    pub(super) const fn high(mut self) -> Self {
        self.importance = Importance::High;
        self
    }

    pub(super) const fn low(mut self) -> Self {
        self.importance = Importance::Low;
        self
    }

    pub(super) const fn per_broker(mut self) -> Self {
        self.update = UpdateMode::PerBroker;
        self
    }

    pub(super) const fn cluster_wide(mut self) -> Self {
        self.update = UpdateMode::ClusterWide;
        self
    }

    pub(super) const fn follows(mut self, synonyms: &'static [Synonym]) -> Self {
        self.synonyms = synonyms;
        self
    }

    pub(super) const fn internal(mut self) -> Self {
        self.internal = true;
        self
    }

    /// This broker acts on the setting.
    pub(super) const fn in_force(mut self) -> Self {
        self.in_force = true;
        self
    }

    pub(super) const fn doc(mut self, doc: &'static str) -> Self {
        self.doc = doc;
        self
    }

    /// Whether its value is never shown.
    #[must_use]
    pub const fn sensitive(&self) -> bool {
        matches!(self.kind, ConfigType::Password)
    }

    /// What the setting is for; says so where this broker only stores it.
    #[must_use]
    pub fn documentation(&self) -> String {
        let mut text = String::from(self.doc);
        if !self.in_force {
            text.push_str(" Checked, stored and described; without effect in this version of Flumen.");
        }
        text
    }
}
