-- What adoption adds to deployed tables: nullable, so that the old plugin still runs on them.
ALTER TABLE ofmessage ADD flags nvarchar(20) COLLATE Latin1_General_100_BIN2 NULL;
ALTER TABLE ofcustomoffline ADD flags nvarchar(20) COLLATE Latin1_General_100_BIN2 NULL;
-- What tlim_user of an earlier tlim lacks.
ALTER TABLE tlim_user ADD account int NOT NULL DEFAULT 0;
ALTER TABLE tlim_user ADD stale bigint NOT NULL DEFAULT 0;
ALTER TABLE tlim_user ADD robot int NOT NULL DEFAULT 0;
-- What tlim_key of an earlier tlim lacks.
ALTER TABLE tlim_key ADD robot_id nvarchar(128) COLLATE Latin1_General_100_BIN2 NULL;
ALTER TABLE tlim_key ADD robot_name nvarchar(128) COLLATE Latin1_General_100_BIN2 NULL;
-- What tlim_leader of an earlier tlim lacks.
ALTER TABLE tlim_leader ADD settings nvarchar(4000) COLLATE Latin1_General_100_BIN2 NULL;
