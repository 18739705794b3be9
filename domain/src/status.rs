//! Where a transfer can stand, and the names of its other closed sets of values.
//!
//! The names are those of the wire's enum values without their prefix; the database stores them too.

/// Has serde write a value as the text that it is displayed as.
macro_rules! serde_as_text {
    ($name:ty) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse()
                    .map_err(|problem| serde::de::Error::custom(format!("{text:?} {problem}")))
            }
        }
    };
}
pub(crate) use serde_as_text;

/// Declares a closed set of values with one name each, used on the wire, in the database and in messages.
macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl $name {
            /// Every value, in the order of the wire's enum.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The one name of the value.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// The value with that name, if there is one.
            pub fn parse(name: &str) -> Option<Self> {
                match name { $($text => Some(Self::$variant),)+ _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }

        impl std::str::FromStr for $name {
            type Err = &'static str;

            fn from_str(name: &str) -> Result<Self, Self::Err> {
                Self::parse(name).ok_or("is not one of the names")
            }
        }

        $crate::status::serde_as_text!($name);
    };
}
pub(crate) use named;

named! {
    /// Where a transfer stands.
    TransferStatus {
        /// Declared.
        Pending = "PENDING",
        /// Waiting for a decision.
        PendingApproval = "PENDING_APPROVAL",
        /// Ready to start.
        Approved = "APPROVED",
        /// An approver said no.
        Denied = "DENIED",
        /// An agent moves rows.
        InProgress = "IN_PROGRESS",
        /// All rows were moved.
        Completed = "COMPLETED",
        /// Given up, or its agent fell silent.
        Failed = "FAILED",
        /// Called off.
        Cancelled = "CANCELLED",
        /// Nobody decided on it or started it in time.
        Expired = "EXPIRED",
    }
}

impl TransferStatus {
    /// Whether nothing leaves this status any more.
    pub const fn is_terminal(self) -> bool {
        match self {
            Self::Completed | Self::Failed | Self::Cancelled | Self::Denied | Self::Expired => true,
            Self::Pending | Self::PendingApproval | Self::Approved | Self::InProgress => false,
        }
    }
}

named! {
    /// Why a transfer has expired.
    ExpiryReason {
        /// Nobody decided in time.
        ApprovalExpired = "APPROVAL_EXPIRED",
        /// It was approved, and nobody started it in time.
        ApprovalLapsed = "APPROVAL_LAPSED",
        /// Nobody started it in time, nor had approved it.
        NotStarted = "NOT_STARTED",
        /// It was started, and queued again, and its time was over before anybody started it again.
        NotFinished = "NOT_FINISHED",
    }
}

named! {
    /// Which way the rows flow.
    Direction {
        /// The agent's site gives them.
        Send = "SEND",
        /// The agent's site takes them.
        Receive = "RECEIVE",
    }
}

impl Direction {
    /// That of the other side.
    pub const fn opposite(self) -> Self {
        match self {
            Self::Send => Self::Receive,
            Self::Receive => Self::Send,
        }
    }
}

named! {
    /// What happens to a row whose key the target already holds.
    ConflictStrategy {
        /// The existing row stays.
        Skip = "SKIP",
        /// The new row replaces it.
        Overwrite = "OVERWRITE",
        /// New values, existing ones where the new one is null.
        Merge = "MERGE",
        /// The new row gets a new key.
        Append = "APPEND",
    }
}
