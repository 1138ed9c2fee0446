-- The deployed tables of SCHEMA.md. utf8mb4_bin: ids are compared exactly, and emoji fit.
CREATE TABLE ofmessage (
  id_ varchar(64) NOT NULL PRIMARY KEY,
  msg_id varchar(64), msg_type varchar(20), msg_from varchar(64), msg_to varchar(64), msg_time varchar(20),
  body mediumtext, session_id varchar(64), flags varchar(20)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE TABLE ofcustomoffline (
  id_ varchar(64) NOT NULL PRIMARY KEY,
  msg_id varchar(64), msg_type varchar(20), msg_from varchar(64), msg_to varchar(64), msg_time varchar(20),
  body mediumtext, session_id varchar(64), msg_status int, delete_user varchar(64), flags varchar(20)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE TABLE ofsession (
  session_id varchar(64) NOT NULL PRIMARY KEY,
  session_type int, session_name varchar(256), session_create_time varchar(20), session_modify_time varchar(20),
  session_delete_time varchar(20), session_valid int, session_user varchar(64), session_pic varchar(256)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE TABLE ofsubscriber (
  user_id varchar(64) NOT NULL, user_name varchar(256), acct_login varchar(64), pic varchar(256),
  session_id varchar(64) NOT NULL, ts varchar(20),
  PRIMARY KEY (user_id, session_id)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE TABLE ofstatus (
  id_ varchar(64) NOT NULL PRIMARY KEY,
  msg_id varchar(64), sender varchar(64), reader varchar(64), status int
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE TABLE ofchat (
  chat_id varchar(64) NOT NULL PRIMARY KEY,
  chat_name varchar(64), chat_user varchar(64), chat_other varchar(64), chat_create_time varchar(64),
  chat_modify_time varchar(64), chat_pic varchar(64)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE TABLE ofpubact (
  id_ varchar(64) NOT NULL PRIMARY KEY,
  title varchar(256), content mediumtext, user_id varchar(64), ts varchar(64), session_id varchar(64)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE TABLE ofstyle (
  style_id varchar(64) NOT NULL PRIMARY KEY,
  style_name varchar(64), style_value int, user_id varchar(64)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Our own.
CREATE TABLE tlim_schema (id int NOT NULL PRIMARY KEY, version int NOT NULL, applied bigint) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE TABLE tlim_state (
  id int NOT NULL PRIMARY KEY,
  epoch bigint NOT NULL, batch bigint NOT NULL, clock bigint NOT NULL, delivered bigint NOT NULL, settled bigint NOT NULL
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE TABLE tlim_id (
  msg_id varchar(64) NOT NULL, class varchar(1) NOT NULL, msg_from varchar(64), conversation varchar(200),
  msg_time varchar(20), digest varchar(64), state varchar(10) NOT NULL,
  PRIMARY KEY (msg_id, class)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE TABLE tlim_user (
  user_id varchar(64) NOT NULL PRIMARY KEY,
  jid varchar(255), user_name varchar(256), acct_login varchar(64), user_email varchar(256), pic_url varchar(256),
  push_code varchar(255), push_os varchar(20), confirms int NOT NULL DEFAULT 0, learned int NOT NULL DEFAULT 0,
  has_left int NOT NULL DEFAULT 0, generation bigint NOT NULL DEFAULT 0,
  account int NOT NULL DEFAULT 0, stale bigint NOT NULL DEFAULT 0, robot int NOT NULL DEFAULT 0
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE TABLE tlim_former (
  session_id varchar(64) NOT NULL, user_id varchar(64) NOT NULL, ts varchar(20) NOT NULL,
  PRIMARY KEY (session_id, user_id)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE TABLE tlim_purge (session_id varchar(64) NOT NULL PRIMARY KEY, ts varchar(20)) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE TABLE tlim_secret (name varchar(64) NOT NULL PRIMARY KEY, value varchar(256)) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE TABLE tlim_file (
  file_id varchar(64) NOT NULL PRIMARY KEY,
  file_name varchar(256), media_type varchar(64), file_size bigint NOT NULL, digest varchar(64), user_id varchar(64),
  ts varchar(20)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE TABLE tlim_file_use (
  file_id varchar(64) NOT NULL, msg_id varchar(64) NOT NULL,
  PRIMARY KEY (file_id, msg_id)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE TABLE tlim_push (
  push_id varchar(64) NOT NULL PRIMARY KEY,
  channel varchar(20) NOT NULL, msg_id varchar(64), msg_type varchar(20), platforms varchar(20), title varchar(256), alert varchar(400),
  receivers mediumtext, made varchar(20), due varchar(20) NOT NULL, tries int NOT NULL, call_id varchar(128), done int NOT NULL, outcome varchar(20)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
-- Calls that push notices.
CREATE TABLE tlim_call (
  call_id varchar(64) NOT NULL PRIMARY KEY,
  call_key varchar(64), business varchar(64), caller varchar(64), msg_type varchar(20), digest varchar(64), body mediumtext,
  receivers int NOT NULL, made varchar(20) NOT NULL, done int NOT NULL, answer varchar(20)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
-- Their receivers who have no message yet, one row per transaction: each goes in the transaction that serves it.
CREATE TABLE tlim_call_part (
  call_id varchar(64) NOT NULL, first_no int NOT NULL, receivers mediumtext,
  PRIMARY KEY (call_id, first_no)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
-- Keys of the HTTP API that were made while it ran; of the secret its digest.
CREATE TABLE tlim_key (
  name varchar(64) NOT NULL PRIMARY KEY,
  digest varchar(64) NOT NULL, scopes varchar(64), rate varchar(32), made varchar(20), made_by varchar(64), ended varchar(20), ended_by varchar(64),
  robot_id varchar(64), robot_name varchar(64)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
-- What administrators changed, and tried to.
CREATE TABLE tlim_audit (
  audit_id varchar(64) NOT NULL PRIMARY KEY,
  ts varchar(20) NOT NULL, who varchar(64), address varchar(64), what varchar(40) NOT NULL, target varchar(64), detail varchar(400), outcome varchar(20) NOT NULL
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
-- Events for business systems: those that wait to be sent, and the dead ones, which were given up.
CREATE TABLE tlim_event (
  event_id varchar(64) NOT NULL PRIMARY KEY,
  kind varchar(20) NOT NULL, conversation varchar(200), body mediumtext, made varchar(20), due varchar(20) NOT NULL, tries int NOT NULL, dead int NOT NULL, reason varchar(256)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
-- Which process leads (1), and which stands by (2).
CREATE TABLE tlim_leader (
  id int NOT NULL PRIMARY KEY,
  epoch bigint NOT NULL, beat bigint NOT NULL, process varchar(64) NOT NULL, host varchar(255), pid bigint, version varchar(64), address varchar(255),
  domain varchar(255), component varchar(255), marker varchar(64), standby int NOT NULL, released int NOT NULL, settings varchar(2000)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
