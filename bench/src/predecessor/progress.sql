-- update_progress of one of the transfers in progress: the totals that differ from those of the caller's copy.
\set turn :turn + 1
\set id random(1, 10000)
UPDATE phoenix_kit_sync_transfers
SET records_transferred = :turn, records_created = :turn, bytes_transferred = :turn::bigint * 100
WHERE uuid = lpad(:id, 32, '0')::uuid;
