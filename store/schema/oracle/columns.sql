-- What adoption adds to deployed tables: nullable, so that the old plugin still runs on them.
ALTER TABLE ofmessage ADD (flags VARCHAR2(20 CHAR));
ALTER TABLE ofcustomoffline ADD (flags VARCHAR2(20 CHAR));
-- What tlim_user of an earlier tlim lacks.
ALTER TABLE tlim_user ADD (account NUMBER(10) DEFAULT 0 NOT NULL);
ALTER TABLE tlim_user ADD (stale NUMBER(19) DEFAULT 0 NOT NULL);
ALTER TABLE tlim_user ADD (robot NUMBER(10) DEFAULT 0 NOT NULL);
-- What tlim_key of an earlier tlim lacks.
ALTER TABLE tlim_key ADD (robot_id VARCHAR2(64 CHAR));
ALTER TABLE tlim_key ADD (robot_name VARCHAR2(64 CHAR));
-- What tlim_leader of an earlier tlim lacks.
ALTER TABLE tlim_leader ADD (settings VARCHAR2(2000 CHAR));
