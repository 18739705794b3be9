//! Transactions that fail at their end, rows that somebody else holds, and the limit of time of a call.
