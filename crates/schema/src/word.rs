//! Enums that are a word in JSON and a small integer in storage.

/// Declares such an enum with everything that follows from its words, so that they are written once.
macro_rules! words {
    (
        $(#[$doc:meta])*
        pub enum $name:ident ($what:literal), error $error:ident {
            $($(#[$variant_doc:meta])* $variant:ident = $code:literal $word:literal,)+
        }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// Every value, in the order of the storage codes.
            pub const ALL: [$name; [$($code),+].len()] = [$($name::$variant),+];

            /// The word used in JSON, the command line, the dashboard and the metrics.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $($name::$variant => $word,)+
                }
            }

            /// The code kept in the database. Codes never change and are never reused.
            #[must_use]
            pub const fn code(self) -> i16 {
                match self {
                    $($name::$variant => $code,)+
                }
            }

            /// The value with this storage code, if there is one.
            #[must_use]
            pub const fn from_code(code: i16) -> Option<$name> {
                match code {
                    $($code => Some($name::$variant),)+
                    _ => None,
                }
            }
        }

        #[cfg(feature = "openapi")]
        crate::openapi::described!($name, crate::openapi::one_of(&[$($word),+]));

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $error;

            fn from_str(word: &str) -> Result<$name, $error> {
                match word {
                    $($word => Ok($name::$variant),)+
                    _ => Err($error { given: word.to_owned() }),
                }
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<$name, D::Error> {
                let word = <String as serde::Deserialize>::deserialize(deserializer)?;
                word.parse().map_err(serde::de::Error::custom)
            }
        }

        #[doc = concat!("The text is no [`", stringify!($name), "`]. The message lists the words that are.")]
        #[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
        #[error("Invalid {}: {given:?} (allowed: {})", $what, [$($word),+].join(", "))]
        pub struct $error {
            given: String,
        }

        impl $error {
            /// The text as it was given.
            #[must_use]
            pub fn given(&self) -> &str {
                &self.given
            }
        }
    };
}

pub(crate) use words;
