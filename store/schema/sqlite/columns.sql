-- What adoption adds to deployed tables: nullable, so that the old plugin still runs on them.
ALTER TABLE ofmessage ADD COLUMN flags varchar(20) NULL;
ALTER TABLE ofcustomoffline ADD COLUMN flags varchar(20) NULL;
