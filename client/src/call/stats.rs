//! Sums, and the lists that an overview shows.

use std::future::IntoFuture;

use chrono::{DateTime, Utc};
use futures_util::{Stream, future::BoxFuture};
use tidegate_proto::v1;
use uuid::Uuid;

use super::{Call, Listing, Page, paged, pages, request, with_connection};
use crate::{
    Client, ConnectionStats, Direction, Error, TableStats, Transfer, convert, model::Wire as _,
    transport::Stubs,
};

request! {
    /// Sums up one connection; made by [`Client::get_connection_stats`].
    read GetConnectionStats(GetConnectionStatsRequest) by transfers.get_connection_stats,
    GetConnectionStatsResponse => ConnectionStats { |answer| Ok(convert::connection_stats(answer)) }
}

request! {
    /// Sums up by table; made by [`Client::list_table_stats`].
    read ListTableStats(ListTableStatsRequest) by transfers.list_table_stats,
    ListTableStatsResponse => Listing<TableStats> {
        |answer| Ok(Listing {
            items: answer.stats.into_iter().map(convert::table_stats).collect(),
            more: answer.more,
        })
    }
}

request! {
    /// Lists the newest transfers; made by [`Client::list_recent_transfers`].
    read ListRecentTransfers(ListRecentTransfersRequest) by transfers.list_recent_transfers,
    ListRecentTransfersResponse => Listing<Transfer> {
        |answer| {
            let items = answer.transfers.into_iter().map(convert::present_transfer);
            Ok(Listing { items: items.collect::<Result<_, _>>()?, more: answer.more })
        }
    }
}

request! {
    /// Lists running transfers; made by [`Client::list_active_transfers`].
    read ListActiveTransfers(ListActiveTransfersRequest) by transfers.list_active_transfers,
    ListActiveTransfersResponse => Page<Transfer> {
        |answer| convert::page(answer.transfers, answer.next_page_token, convert::present_transfer)
    }
}

with_connection!(ListRecentTransfers, ListActiveTransfers);
pages!(ListActiveTransfers of Transfer {});

impl Client {
    /// Sums up the transfers of one connection, in every status; zeros when there are none.
    pub fn get_connection_stats(&self, connection_uuid: Uuid) -> GetConnectionStats {
        GetConnectionStats {
            client: self.clone(),
            message: v1::GetConnectionStatsRequest {
                connection_uuid: connection_uuid.to_string(),
            },
        }
    }

    /// Sums up completed transfers by table: most transfers first, then by name; at most 1,000 tables, and whether there
    /// are more.
    pub fn list_table_stats(&self) -> ListTableStats {
        ListTableStats {
            client: self.clone(),
            message: v1::ListTableStatsRequest::default(),
        }
    }

    /// Lists the newest transfers, newest first, and whether there are older ones.
    pub fn list_recent_transfers(&self) -> ListRecentTransfers {
        ListRecentTransfers {
            client: self.clone(),
            message: v1::ListRecentTransfersRequest::default(),
        }
    }

    /// Lists transfers that are `InProgress`, newest first.
    pub fn list_active_transfers(&self) -> ListActiveTransfers {
        ListActiveTransfers {
            client: self.clone(),
            message: v1::ListActiveTransfersRequest::default(),
        }
    }
}

impl ListTableStats {
    /// Only transfers of this direction.
    pub fn direction(mut self, direction: Direction) -> Self {
        self.message.direction = direction.to_wire();
        self
    }

    /// Only those of this connection.
    pub fn connection_uuid(mut self, uuid: Uuid) -> Self {
        self.message.connection_uuid = uuid.to_string();
        self
    }

    /// Only those created at this time or later.
    pub fn from(mut self, time: DateTime<Utc>) -> Self {
        self.message.from = Some(convert::to_timestamp(time));
        self
    }

    /// Only those created at this time or earlier.
    pub fn to(mut self, time: DateTime<Utc>) -> Self {
        self.message.to = Some(convert::to_timestamp(time));
        self
    }
}

impl ListRecentTransfers {
    /// At most so many: 10 by default, 1,000 at most. Fewer come rather than pass the limit on an answer's size.
    pub fn limit(mut self, limit: u32) -> Self {
        self.message.limit = convert::count(limit);
        self
    }
}
