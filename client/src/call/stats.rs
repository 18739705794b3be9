//! Sums, and the lists that an overview shows.

use std::future::IntoFuture;

use chrono::{DateTime, Utc};
use futures_util::{Stream, future::BoxFuture};
use tidegate_proto::v1;
use uuid::Uuid;

use super::{Call, Listing, Page, paged, pages, request, with_connection};
use crate::{
    Client, ConnectionStats, Direction, Error, Stats, TableStats, Transfer, Transfers, convert,
    model::Wire as _, transport::Stubs,
};

request! {
    /// Sums up one connection; made by [`Stats::connection`].
    read GetConnectionStats(GetConnectionStatsRequest) by transfers.get_connection_stats,
    GetConnectionStatsResponse => ConnectionStats { convert::connection_stats }
}

request! {
    /// Sums up by table; made by [`Stats::tables`].
    read ListTableStats(ListTableStatsRequest) by transfers.list_table_stats,
    ListTableStatsResponse => Listing<TableStats> {
        |answer| {
            let items = answer.stats.into_iter().map(convert::table_stats);
            Ok(Listing { items: items.collect::<Result<_, _>>()?, more: answer.more })
        }
    }
}

request! {
    /// Lists the newest transfers; made by [`Transfers::list_recent`].
    read ListRecentTransfers(ListRecentTransfersRequest) by transfers.list_recent_transfers,
    ListRecentTransfersResponse => Listing<Transfer> {
        |answer| {
            let items = answer.transfers.into_iter().map(convert::present_transfer);
            Ok(Listing { items: items.collect::<Result<_, _>>()?, more: answer.more })
        }
    }
}

request! {
    /// Lists running transfers; made by [`Transfers::list_active`].
    read ListActiveTransfers(ListActiveTransfersRequest) by transfers.list_active_transfers,
    ListActiveTransfersResponse => Page<Transfer> {
        |answer| convert::page(answer.transfers, answer.next_page_token, convert::present_transfer)
    }
}

with_connection!(ListRecentTransfers, ListActiveTransfers);
pages!(ListActiveTransfers of Transfer {});

impl Stats {
    /// Sums up the transfers of one connection, in every status, with those that were deleted; zeros when there are none.
    pub fn connection(&self, connection_uuid: Uuid) -> GetConnectionStats {
        GetConnectionStats {
            client: self.client.clone(),
            message: v1::GetConnectionStatsRequest {
                connection_uuid: connection_uuid.to_string(),
                ..v1::GetConnectionStatsRequest::default()
            },
        }
    }

    /// Sums up completed transfers by table, with those that were deleted: most transfers first, then by name; at most
    /// 1,000 tables, and whether there are more.
    pub fn tables(&self) -> ListTableStats {
        ListTableStats {
            client: self.client.clone(),
            message: v1::ListTableStatsRequest::default(),
        }
    }
}

impl Transfers {
    /// Lists the newest transfers, newest first, and whether there are older ones.
    pub fn list_recent(&self) -> ListRecentTransfers {
        ListRecentTransfers {
            client: self.client.clone(),
            message: v1::ListRecentTransfersRequest::default(),
        }
    }

    /// Lists transfers that are `InProgress`, newest first.
    pub fn list_active(&self) -> ListActiveTransfers {
        ListActiveTransfers {
            client: self.client.clone(),
            message: v1::ListActiveTransfersRequest::default(),
        }
    }
}

impl GetConnectionStats {
    /// Only transfers created at this time or later.
    pub fn from(mut self, time: DateTime<Utc>) -> Self {
        self.message.from = Some(convert::to_timestamp(time));
        self
    }

    /// Only transfers created at this time or earlier.
    pub fn to(mut self, time: DateTime<Utc>) -> Self {
        self.message.to = Some(convert::to_timestamp(time));
        self
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
