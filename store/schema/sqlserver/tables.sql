-- The deployed tables of SCHEMA.md. nvarchar holds every character, whatever the code page of the database, and counts those beyond
-- U+FFFF twice: a column that can have them is twice as long. The collation tells all texts apart but for blanks at their end.
CREATE TABLE ofmessage (
  id_ nvarchar(64) COLLATE Latin1_General_100_BIN2 NOT NULL PRIMARY KEY,
  msg_id nvarchar(128) COLLATE Latin1_General_100_BIN2, msg_type nvarchar(20) COLLATE Latin1_General_100_BIN2,
  msg_from nvarchar(128) COLLATE Latin1_General_100_BIN2, msg_to nvarchar(128) COLLATE Latin1_General_100_BIN2,
  msg_time nvarchar(20) COLLATE Latin1_General_100_BIN2,
  body nvarchar(max) COLLATE Latin1_General_100_BIN2, session_id nvarchar(128) COLLATE Latin1_General_100_BIN2,
  flags nvarchar(20) COLLATE Latin1_General_100_BIN2
);
CREATE TABLE ofcustomoffline (
  id_ nvarchar(64) COLLATE Latin1_General_100_BIN2 NOT NULL PRIMARY KEY,
  msg_id nvarchar(128) COLLATE Latin1_General_100_BIN2, msg_type nvarchar(20) COLLATE Latin1_General_100_BIN2,
  msg_from nvarchar(128) COLLATE Latin1_General_100_BIN2, msg_to nvarchar(128) COLLATE Latin1_General_100_BIN2,
  msg_time nvarchar(20) COLLATE Latin1_General_100_BIN2,
  body nvarchar(max) COLLATE Latin1_General_100_BIN2, session_id nvarchar(128) COLLATE Latin1_General_100_BIN2, msg_status int,
  delete_user nvarchar(128) COLLATE Latin1_General_100_BIN2, flags nvarchar(20) COLLATE Latin1_General_100_BIN2
);
CREATE TABLE ofsession (
  session_id nvarchar(128) COLLATE Latin1_General_100_BIN2 NOT NULL PRIMARY KEY,
  session_type int, session_name nvarchar(512) COLLATE Latin1_General_100_BIN2,
  session_create_time nvarchar(20) COLLATE Latin1_General_100_BIN2,
  session_modify_time nvarchar(20) COLLATE Latin1_General_100_BIN2,
  session_delete_time nvarchar(20) COLLATE Latin1_General_100_BIN2, session_valid int,
  [session_user] nvarchar(128) COLLATE Latin1_General_100_BIN2, session_pic nvarchar(512) COLLATE Latin1_General_100_BIN2
);
CREATE TABLE ofsubscriber (
  user_id nvarchar(128) COLLATE Latin1_General_100_BIN2 NOT NULL, user_name nvarchar(512) COLLATE Latin1_General_100_BIN2,
  acct_login nvarchar(128) COLLATE Latin1_General_100_BIN2, pic nvarchar(512) COLLATE Latin1_General_100_BIN2,
  session_id nvarchar(128) COLLATE Latin1_General_100_BIN2 NOT NULL, ts nvarchar(20) COLLATE Latin1_General_100_BIN2,
  PRIMARY KEY (user_id, session_id)
);
CREATE TABLE ofstatus (
  id_ nvarchar(64) COLLATE Latin1_General_100_BIN2 NOT NULL PRIMARY KEY,
  msg_id nvarchar(128) COLLATE Latin1_General_100_BIN2, sender nvarchar(128) COLLATE Latin1_General_100_BIN2,
  reader nvarchar(128) COLLATE Latin1_General_100_BIN2, status int
);
CREATE TABLE ofchat (
  chat_id nvarchar(128) COLLATE Latin1_General_100_BIN2 NOT NULL PRIMARY KEY,
  chat_name nvarchar(128) COLLATE Latin1_General_100_BIN2, chat_user nvarchar(128) COLLATE Latin1_General_100_BIN2,
  chat_other nvarchar(128) COLLATE Latin1_General_100_BIN2, chat_create_time nvarchar(64) COLLATE Latin1_General_100_BIN2,
  chat_modify_time nvarchar(64) COLLATE Latin1_General_100_BIN2, chat_pic nvarchar(128) COLLATE Latin1_General_100_BIN2
);
CREATE TABLE ofpubact (
  id_ nvarchar(64) COLLATE Latin1_General_100_BIN2 NOT NULL PRIMARY KEY,
  title nvarchar(512) COLLATE Latin1_General_100_BIN2, content nvarchar(max) COLLATE Latin1_General_100_BIN2,
  user_id nvarchar(128) COLLATE Latin1_General_100_BIN2, ts nvarchar(64) COLLATE Latin1_General_100_BIN2,
  session_id nvarchar(128) COLLATE Latin1_General_100_BIN2
);
CREATE TABLE ofstyle (
  style_id nvarchar(128) COLLATE Latin1_General_100_BIN2 NOT NULL PRIMARY KEY,
  style_name nvarchar(128) COLLATE Latin1_General_100_BIN2, style_value int, user_id nvarchar(128) COLLATE Latin1_General_100_BIN2
);

-- Our own.
CREATE TABLE tlim_schema (id int NOT NULL PRIMARY KEY, version int NOT NULL, applied bigint);
CREATE TABLE tlim_state (
  id int NOT NULL PRIMARY KEY,
  epoch bigint NOT NULL, batch bigint NOT NULL, clock bigint NOT NULL, delivered bigint NOT NULL, settled bigint NOT NULL
);
CREATE TABLE tlim_id (
  msg_id nvarchar(128) COLLATE Latin1_General_100_BIN2 NOT NULL, class nvarchar(1) COLLATE Latin1_General_100_BIN2 NOT NULL,
  msg_from nvarchar(128) COLLATE Latin1_General_100_BIN2, conversation nvarchar(400) COLLATE Latin1_General_100_BIN2,
  msg_time nvarchar(20) COLLATE Latin1_General_100_BIN2, digest nvarchar(64) COLLATE Latin1_General_100_BIN2,
  state nvarchar(10) COLLATE Latin1_General_100_BIN2 NOT NULL,
  PRIMARY KEY (msg_id, class)
);
CREATE TABLE tlim_user (
  user_id nvarchar(128) COLLATE Latin1_General_100_BIN2 NOT NULL PRIMARY KEY,
  jid nvarchar(255) COLLATE Latin1_General_100_BIN2, user_name nvarchar(512) COLLATE Latin1_General_100_BIN2,
  acct_login nvarchar(128) COLLATE Latin1_General_100_BIN2, user_email nvarchar(512) COLLATE Latin1_General_100_BIN2,
  pic_url nvarchar(512) COLLATE Latin1_General_100_BIN2,
  push_code nvarchar(255) COLLATE Latin1_General_100_BIN2, push_os nvarchar(20) COLLATE Latin1_General_100_BIN2,
  confirms int NOT NULL DEFAULT 0, learned int NOT NULL DEFAULT 0,
  has_left int NOT NULL DEFAULT 0, generation bigint NOT NULL DEFAULT 0,
  account int NOT NULL DEFAULT 0, stale bigint NOT NULL DEFAULT 0, robot int NOT NULL DEFAULT 0
);
CREATE TABLE tlim_former (
  session_id nvarchar(128) COLLATE Latin1_General_100_BIN2 NOT NULL, user_id nvarchar(128) COLLATE Latin1_General_100_BIN2 NOT NULL,
  ts nvarchar(20) COLLATE Latin1_General_100_BIN2 NOT NULL,
  PRIMARY KEY (session_id, user_id)
);
CREATE TABLE tlim_purge (session_id nvarchar(128) COLLATE Latin1_General_100_BIN2 NOT NULL PRIMARY KEY, ts nvarchar(20) COLLATE Latin1_General_100_BIN2);
CREATE TABLE tlim_secret (name nvarchar(128) COLLATE Latin1_General_100_BIN2 NOT NULL PRIMARY KEY, value nvarchar(256) COLLATE Latin1_General_100_BIN2);
CREATE TABLE tlim_file (
  file_id nvarchar(64) COLLATE Latin1_General_100_BIN2 NOT NULL PRIMARY KEY,
  file_name nvarchar(512) COLLATE Latin1_General_100_BIN2, media_type nvarchar(64) COLLATE Latin1_General_100_BIN2,
  file_size bigint NOT NULL, digest nvarchar(64) COLLATE Latin1_General_100_BIN2,
  user_id nvarchar(128) COLLATE Latin1_General_100_BIN2,
  ts nvarchar(20) COLLATE Latin1_General_100_BIN2
);
CREATE TABLE tlim_file_use (
  file_id nvarchar(64) COLLATE Latin1_General_100_BIN2 NOT NULL, msg_id nvarchar(128) COLLATE Latin1_General_100_BIN2 NOT NULL,
  PRIMARY KEY (file_id, msg_id)
);
CREATE TABLE tlim_push (
  push_id nvarchar(64) COLLATE Latin1_General_100_BIN2 NOT NULL PRIMARY KEY,
  channel nvarchar(20) COLLATE Latin1_General_100_BIN2 NOT NULL, msg_id nvarchar(128) COLLATE Latin1_General_100_BIN2,
  msg_type nvarchar(20) COLLATE Latin1_General_100_BIN2, platforms nvarchar(20) COLLATE Latin1_General_100_BIN2,
  title nvarchar(512) COLLATE Latin1_General_100_BIN2, alert nvarchar(800) COLLATE Latin1_General_100_BIN2,
  receivers nvarchar(max) COLLATE Latin1_General_100_BIN2, made nvarchar(20) COLLATE Latin1_General_100_BIN2,
  due nvarchar(20) COLLATE Latin1_General_100_BIN2 NOT NULL, tries int NOT NULL,
  call_id nvarchar(128) COLLATE Latin1_General_100_BIN2, done int NOT NULL, outcome nvarchar(20) COLLATE Latin1_General_100_BIN2
);
-- Calls that push notices.
CREATE TABLE tlim_call (
  call_id nvarchar(64) COLLATE Latin1_General_100_BIN2 NOT NULL PRIMARY KEY,
  call_key nvarchar(64) COLLATE Latin1_General_100_BIN2, business nvarchar(128) COLLATE Latin1_General_100_BIN2,
  caller nvarchar(128) COLLATE Latin1_General_100_BIN2, msg_type nvarchar(20) COLLATE Latin1_General_100_BIN2,
  digest nvarchar(64) COLLATE Latin1_General_100_BIN2, body nvarchar(max) COLLATE Latin1_General_100_BIN2,
  receivers int NOT NULL, made nvarchar(20) COLLATE Latin1_General_100_BIN2 NOT NULL, done int NOT NULL,
  answer nvarchar(20) COLLATE Latin1_General_100_BIN2
);
-- Their receivers who have no message yet, one row per transaction: each goes in the transaction that serves it.
CREATE TABLE tlim_call_part (
  call_id nvarchar(64) COLLATE Latin1_General_100_BIN2 NOT NULL, first_no int NOT NULL,
  receivers nvarchar(max) COLLATE Latin1_General_100_BIN2,
  PRIMARY KEY (call_id, first_no)
);
-- Keys of the HTTP API that were made while it ran; of the secret its digest.
CREATE TABLE tlim_key (
  name nvarchar(128) COLLATE Latin1_General_100_BIN2 NOT NULL PRIMARY KEY,
  digest nvarchar(64) COLLATE Latin1_General_100_BIN2 NOT NULL, scopes nvarchar(64) COLLATE Latin1_General_100_BIN2,
  rate nvarchar(32) COLLATE Latin1_General_100_BIN2, made nvarchar(20) COLLATE Latin1_General_100_BIN2,
  made_by nvarchar(128) COLLATE Latin1_General_100_BIN2, ended nvarchar(20) COLLATE Latin1_General_100_BIN2,
  ended_by nvarchar(128) COLLATE Latin1_General_100_BIN2,
  robot_id nvarchar(128) COLLATE Latin1_General_100_BIN2, robot_name nvarchar(128) COLLATE Latin1_General_100_BIN2
);
-- What administrators changed, and tried to.
CREATE TABLE tlim_audit (
  audit_id nvarchar(64) COLLATE Latin1_General_100_BIN2 NOT NULL PRIMARY KEY,
  ts nvarchar(20) COLLATE Latin1_General_100_BIN2 NOT NULL, who nvarchar(128) COLLATE Latin1_General_100_BIN2,
  address nvarchar(128) COLLATE Latin1_General_100_BIN2, what nvarchar(40) COLLATE Latin1_General_100_BIN2 NOT NULL,
  target nvarchar(128) COLLATE Latin1_General_100_BIN2, detail nvarchar(800) COLLATE Latin1_General_100_BIN2,
  outcome nvarchar(20) COLLATE Latin1_General_100_BIN2 NOT NULL
);
-- Events for business systems: those that wait to be sent, and the dead ones, which were given up.
CREATE TABLE tlim_event (
  event_id nvarchar(64) COLLATE Latin1_General_100_BIN2 NOT NULL PRIMARY KEY,
  kind nvarchar(20) COLLATE Latin1_General_100_BIN2 NOT NULL, conversation nvarchar(400) COLLATE Latin1_General_100_BIN2,
  body nvarchar(max) COLLATE Latin1_General_100_BIN2, made nvarchar(20) COLLATE Latin1_General_100_BIN2,
  due nvarchar(20) COLLATE Latin1_General_100_BIN2 NOT NULL, tries int NOT NULL, dead int NOT NULL,
  reason nvarchar(512) COLLATE Latin1_General_100_BIN2
);
-- Which process leads (1), and which stands by (2).
CREATE TABLE tlim_leader (
  id int NOT NULL PRIMARY KEY,
  epoch bigint NOT NULL, beat bigint NOT NULL, process nvarchar(128) COLLATE Latin1_General_100_BIN2 NOT NULL, host nvarchar(510) COLLATE Latin1_General_100_BIN2, pid bigint, version nvarchar(128) COLLATE Latin1_General_100_BIN2, address nvarchar(510) COLLATE Latin1_General_100_BIN2,
  domain nvarchar(510) COLLATE Latin1_General_100_BIN2, component nvarchar(510) COLLATE Latin1_General_100_BIN2, marker nvarchar(128) COLLATE Latin1_General_100_BIN2, standby int NOT NULL, released int NOT NULL, settings nvarchar(4000) COLLATE Latin1_General_100_BIN2
);
