-- The predecessor's table as the migration of its package makes it (older installations may have more indexes), with 10,000
-- transfers in progress. Foreign keys to connections and people, which these transfers do not refer to, and the default of
-- the key are left out.
CREATE TABLE phoenix_kit_sync_transfers (
    uuid uuid PRIMARY KEY,
    direction varchar(10) NOT NULL,
    session_code varchar(20),
    remote_site_url varchar(255),
    table_name varchar(255) NOT NULL,
    records_requested integer NOT NULL DEFAULT 0,
    records_transferred integer NOT NULL DEFAULT 0,
    records_created integer NOT NULL DEFAULT 0,
    records_updated integer NOT NULL DEFAULT 0,
    records_skipped integer NOT NULL DEFAULT 0,
    records_failed integer NOT NULL DEFAULT 0,
    bytes_transferred bigint NOT NULL DEFAULT 0,
    conflict_strategy varchar(20),
    status varchar(20) NOT NULL DEFAULT 'pending',
    requires_approval boolean NOT NULL DEFAULT false,
    approved_at timestamptz,
    denied_at timestamptz,
    denial_reason varchar(255),
    approval_expires_at timestamptz,
    requester_ip varchar(255),
    requester_user_agent varchar(255),
    error_message text,
    started_at timestamptz,
    completed_at timestamptz,
    metadata jsonb NOT NULL DEFAULT '{}',
    connection_uuid uuid,
    approved_by_uuid uuid,
    denied_by_uuid uuid,
    initiated_by_uuid uuid,
    inserted_at timestamptz NOT NULL
);
CREATE INDEX ON phoenix_kit_sync_transfers (direction);
CREATE INDEX ON phoenix_kit_sync_transfers (connection_uuid);
CREATE INDEX ON phoenix_kit_sync_transfers (status);
CREATE INDEX ON phoenix_kit_sync_transfers (initiated_by_uuid);
CREATE INDEX ON phoenix_kit_sync_transfers (inserted_at);
CREATE INDEX ON phoenix_kit_sync_transfers (requires_approval, status);
INSERT INTO phoenix_kit_sync_transfers (uuid, direction, table_name, records_requested, status, started_at, inserted_at)
SELECT lpad(i::text, 32, '0')::uuid, 'send', 'public.orders', 1000000, 'in_progress', CURRENT_TIMESTAMP(0), CURRENT_TIMESTAMP(0)
FROM generate_series(1, 10000) AS i;
ANALYZE phoenix_kit_sync_transfers;
