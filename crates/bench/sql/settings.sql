-- What the figures depend on.
SELECT name, current_setting(name) AS value
FROM unnest(ARRAY['server_version', 'fsync', 'synchronous_commit', 'full_page_writes', 'wal_compression',
    'data_checksums', 'shared_buffers', 'max_wal_size']) AS name
