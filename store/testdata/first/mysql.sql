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
  has_left int NOT NULL DEFAULT 0, generation bigint NOT NULL DEFAULT 0
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE TABLE tlim_former (
  session_id varchar(64) NOT NULL, user_id varchar(64) NOT NULL, ts varchar(20) NOT NULL,
  PRIMARY KEY (session_id, user_id)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE TABLE tlim_purge (session_id varchar(64) NOT NULL PRIMARY KEY, ts varchar(20)) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE TABLE tlim_secret (name varchar(64) NOT NULL PRIMARY KEY, value varchar(256)) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE INDEX tlim_message_id ON ofmessage (msg_id);
CREATE INDEX tlim_message_time ON ofmessage (msg_time);
CREATE INDEX tlim_message_group ON ofmessage (session_id, msg_time, msg_id);
CREATE INDEX tlim_message_chat ON ofmessage (msg_from, msg_to, msg_time);
CREATE INDEX tlim_message_notice ON ofmessage (msg_to, msg_type, msg_time);

CREATE INDEX tlim_pending_owner ON ofcustomoffline (delete_user, msg_time, msg_id);
CREATE INDEX tlim_pending_message ON ofcustomoffline (msg_id, delete_user);
CREATE INDEX tlim_pending_group ON ofcustomoffline (session_id);

CREATE UNIQUE INDEX tlim_receipt_reader ON ofstatus (msg_id, reader);
CREATE INDEX tlim_member_group ON ofsubscriber (session_id);
CREATE UNIQUE INDEX tlim_chat_pair ON ofchat (chat_user, chat_other);
CREATE INDEX tlim_chat_owner ON ofchat (chat_other);
CREATE INDEX tlim_notice_group ON ofpubact (session_id);
CREATE INDEX tlim_style_user ON ofstyle (user_id, style_name);

CREATE UNIQUE INDEX tlim_user_jid ON tlim_user (jid);
CREATE INDEX tlim_user_push ON tlim_user (push_code);
