//! The calls of a client by what they are about.

use crate::Client;

macro_rules! views {
    ($($(#[$doc:meta])* $name:ident by $method:ident;)+) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Debug)]
            pub struct $name {
                pub(crate) client: Client,
            }
        )+

        impl Client {
            $(
                $(#[$doc])*
                #[must_use]
                pub fn $method(&self) -> $name {
                    $name { client: self.clone() }
                }
            )+
        }
    };
}

views! {
    /// Transfers, from their declaration to their end.
    Transfers by transfers;
    /// Decisions on transfers that need one.
    Approvals by approvals;
    /// The other sites, their policies and their tokens.
    Connections by connections;
    /// Who may call.
    Credentials by credentials;
    /// Codes that agents redeem for a token.
    Sessions by sessions;
    /// One verb for many transfers, carried out by the server.
    Bulk by bulk;
    /// The log.
    Events by events;
    /// Who runs transfers.
    Agents by agents;
    /// Sums over transfers.
    Stats by stats;
}
