-- What adoption adds to deployed tables: nullable, so that the old plugin still runs on them.
ALTER TABLE ofmessage ADD COLUMN flags varchar(20) NULL;
ALTER TABLE ofcustomoffline ADD COLUMN flags varchar(20) NULL;
-- What tlim_user of an earlier tlim lacks.
ALTER TABLE tlim_user ADD COLUMN account int NOT NULL DEFAULT 0;
ALTER TABLE tlim_user ADD COLUMN stale bigint NOT NULL DEFAULT 0;
ALTER TABLE tlim_user ADD COLUMN robot int NOT NULL DEFAULT 0;
-- What tlim_key of an earlier tlim lacks.
ALTER TABLE tlim_key ADD COLUMN robot_id varchar(64) NULL;
ALTER TABLE tlim_key ADD COLUMN robot_name varchar(64) NULL;
-- What tlim_leader of an earlier tlim lacks.
ALTER TABLE tlim_leader ADD COLUMN settings varchar(2000) NULL;
