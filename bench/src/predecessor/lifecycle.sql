-- A uuid of decimal digits in the order of time, as the application makes them (version 7). The first turn is 1,001, so it
-- is none of the table's 10,000.
\set turn :turn + 1
\set id :turn * 100 + :client_id
-- create_transfer: what was given, and every default that is not null.
INSERT INTO phoenix_kit_sync_transfers (uuid, direction, table_name, records_requested, records_transferred, records_created,
    records_updated, records_skipped, records_failed, bytes_transferred, status, requires_approval, metadata, inserted_at)
VALUES (lpad(:id, 32, '0')::uuid, 'send', 'public.orders', 1000000, 0, 0, 0, 0, 0, 0, 'pending', false, '{}',
    CURRENT_TIMESTAMP(0));
-- start_transfer: whether it may be started was decided on the caller's copy.
UPDATE phoenix_kit_sync_transfers SET status = 'in_progress', started_at = CURRENT_TIMESTAMP(0)
WHERE uuid = lpad(:id, 32, '0')::uuid;
-- update_progress: the totals that differ from those of the copy.
UPDATE phoenix_kit_sync_transfers SET records_transferred = 500000, records_created = 500000, bytes_transferred = 50000000
WHERE uuid = lpad(:id, 32, '0')::uuid;
-- complete_transfer, with the last totals.
UPDATE phoenix_kit_sync_transfers SET records_transferred = 1000000, records_created = 1000000, bytes_transferred = 100000000,
    status = 'completed', completed_at = CURRENT_TIMESTAMP(0)
WHERE uuid = lpad(:id, 32, '0')::uuid;
