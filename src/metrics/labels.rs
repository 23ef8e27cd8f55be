//! The values that labels have: each is one of a few, known when the plugin is built, so that nobody outside can make more of them.

/// An enumeration each of whose values has a name for a label.
macro_rules! labels {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $value:ident = $label:literal,)* }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(usize)]
        pub enum $name {
            $($(#[$doc])* $value,)*
        }

        impl $name {
            /// All of them, in order.
            pub const ALL: &[Self] = &[$(Self::$value,)*];
            /// How many there are.
            pub const COUNT: usize = Self::ALL.len();

            /// The name.
            #[must_use]
            pub const fn label(self) -> &'static str {
                match self {
                    $(Self::$value => $label,)*
                }
            }
        }
    };
}

labels! {
    /// How a client comes: by what it sends, or by what TLS has proved.
    WayIn {
        /// MQTT 5, token and a proof over the TLS exporter (rfc9431.md C2).
        Exporter = "exporter",
        /// MQTT 5, a token that is asked for its proof (C3).
        Challenge = "challenge",
        /// MQTT 5, without a token: one is held for the client (C4).
        Held = "held",
        /// A token in the user name (V1).
        UserName = "user-name",
        /// The draft's form, with a proof over the TLS exporter (V4).
        Draft00Exporter = "draft00-exporter",
        /// The draft's form, with a proof over time and nonce.
        Draft00Timed = "draft00-timed",
        /// A pre-shared key (L2).
        Psk = "psk",
        /// A client certificate (L4).
        Certificate = "certificate",
        /// A raw public key (L3).
        RawKey = "raw-key",
        /// Nothing at all (L6).
        Anonymous = "anonymous",
        /// User name and password that have nothing to do with ACE.
        Other = "other",
        /// A connected client with a new token (E2).
        Reauthentication = "re-authentication",
        /// Something of ACE that cannot be read.
        Unreadable = "unreadable",
    }
}

labels! {
    /// What becomes of a client that comes.
    Outcome {
        /// It is let in.
        Admitted = "admitted",
        /// It is not.
        Refused = "refused",
        /// It is left to the broker's other plugins.
        Deferred = "deferred",
    }
}

labels! {
    /// What a client wants to do with a topic.
    Wish {
        /// Publish a message.
        Publish = "publish",
        /// Be given one.
        Receive = "receive",
        /// Subscribe.
        Subscribe = "subscribe",
        /// Have a Will.
        Will = "will",
    }
}

labels! {
    /// Why a session ends.
    End {
        /// Its client has gone, or the broker has disconnected it for a reason of its own.
        Client = "client-gone",
        /// Its token has expired.
        Expired = "token-expired",
        /// Its token has been revoked.
        Revoked = "token-revoked",
        /// Its token's server says that it is not active any more.
        Inactive = "token-inactive",
        /// Its token's server has not confirmed it in time.
        Unconfirmed = "server-unavailable",
        /// Its token's server says something else about it, which does not go with the session.
        Changed = "token-changed",
        /// The client has published, or was to be given, what it may not.
        Denied = "denied",
        /// The client has a Will that it may not have.
        Will = "will-denied",
        /// The client has published a bad token to the `authz-info` topic.
        BadToken = "bad-token",
        /// The client has answered without having been challenged.
        StrayAnswer = "stray-answer",
        /// An operator has ended it by a command.
        Command = "command",
    }
}

labels! {
    /// Who waits for a server's word on a token.
    Waiting {
        /// A client that has been challenged.
        Challenged = "challenge",
        /// A client whose authentication the broker has put off.
        Delayed = "delayed",
        /// Nobody: the token is to be held.
        Arriving = "token",
    }
}

labels! {
    /// What a session's rights are.
    Holding {
        /// A token's.
        Token = "token",
        /// What everybody may.
        Public = "public",
        /// To publish a token.
        AuthzInfo = "authz-info",
        /// What the broker's other plugins say.
        Other = "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct_and_need_no_escapes() {
        for labels in [
            WayIn::ALL.iter().map(|it| it.label()).collect::<Vec<_>>(),
            Outcome::ALL.iter().map(|it| it.label()).collect(),
            Wish::ALL.iter().map(|it| it.label()).collect(),
            End::ALL.iter().map(|it| it.label()).collect(),
            Waiting::ALL.iter().map(|it| it.label()).collect(),
            Holding::ALL.iter().map(|it| it.label()).collect(),
        ] {
            for (at, label) in labels.iter().enumerate() {
                assert!(label.bytes().all(|byte| byte == b'-' || byte.is_ascii_lowercase() || byte.is_ascii_digit()));
                assert!(!labels[..at].contains(label), "{label}");
            }
        }
        assert_eq!((WayIn::ALL[3] as usize, WayIn::COUNT), (3, 13));
    }
}
