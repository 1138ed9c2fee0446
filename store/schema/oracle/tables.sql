-- The deployed tables of SCHEMA.md. Lengths are of characters, whatever NLS_LENGTH_SEMANTICS says; what can be longer than 4,000 bytes is a
-- CLOB. Names are written without quotation marks, but for session_user, and so stand in upper case.
CREATE TABLE ofmessage (
  id_ VARCHAR2(64 CHAR) NOT NULL PRIMARY KEY,
  msg_id VARCHAR2(64 CHAR), msg_type VARCHAR2(20 CHAR), msg_from VARCHAR2(64 CHAR), msg_to VARCHAR2(64 CHAR), msg_time VARCHAR2(20 CHAR),
  body CLOB, session_id VARCHAR2(64 CHAR), flags VARCHAR2(20 CHAR)
);
CREATE TABLE ofcustomoffline (
  id_ VARCHAR2(64 CHAR) NOT NULL PRIMARY KEY,
  msg_id VARCHAR2(64 CHAR), msg_type VARCHAR2(20 CHAR), msg_from VARCHAR2(64 CHAR), msg_to VARCHAR2(64 CHAR), msg_time VARCHAR2(20 CHAR),
  body CLOB, session_id VARCHAR2(64 CHAR), msg_status NUMBER(10), delete_user VARCHAR2(64 CHAR), flags VARCHAR2(20 CHAR)
);
CREATE TABLE ofsession (
  session_id VARCHAR2(64 CHAR) NOT NULL PRIMARY KEY,
  session_type NUMBER(10), session_name VARCHAR2(256 CHAR), session_create_time VARCHAR2(20 CHAR), session_modify_time VARCHAR2(20 CHAR),
  session_delete_time VARCHAR2(20 CHAR), session_valid NUMBER(10), "SESSION_USER" VARCHAR2(64 CHAR), session_pic VARCHAR2(256 CHAR)
);
CREATE TABLE ofsubscriber (
  user_id VARCHAR2(64 CHAR) NOT NULL, user_name VARCHAR2(256 CHAR), acct_login VARCHAR2(64 CHAR), pic VARCHAR2(256 CHAR),
  session_id VARCHAR2(64 CHAR) NOT NULL, ts VARCHAR2(20 CHAR),
  PRIMARY KEY (user_id, session_id)
);
CREATE TABLE ofstatus (
  id_ VARCHAR2(64 CHAR) NOT NULL PRIMARY KEY,
  msg_id VARCHAR2(64 CHAR), sender VARCHAR2(64 CHAR), reader VARCHAR2(64 CHAR), status NUMBER(10)
);
CREATE TABLE ofchat (
  chat_id VARCHAR2(64 CHAR) NOT NULL PRIMARY KEY,
  chat_name VARCHAR2(64 CHAR), chat_user VARCHAR2(64 CHAR), chat_other VARCHAR2(64 CHAR), chat_create_time VARCHAR2(64 CHAR),
  chat_modify_time VARCHAR2(64 CHAR), chat_pic VARCHAR2(64 CHAR)
);
CREATE TABLE ofpubact (
  id_ VARCHAR2(64 CHAR) NOT NULL PRIMARY KEY,
  title VARCHAR2(256 CHAR), content CLOB, user_id VARCHAR2(64 CHAR), ts VARCHAR2(64 CHAR), session_id VARCHAR2(64 CHAR)
);
CREATE TABLE ofstyle (
  style_id VARCHAR2(64 CHAR) NOT NULL PRIMARY KEY,
  style_name VARCHAR2(64 CHAR), style_value NUMBER(10), user_id VARCHAR2(64 CHAR)
);

-- Our own.
CREATE TABLE tlim_schema (id NUMBER(10) NOT NULL PRIMARY KEY, version NUMBER(10) NOT NULL, applied NUMBER(19));
CREATE TABLE tlim_state (
  id NUMBER(10) NOT NULL PRIMARY KEY,
  epoch NUMBER(19) NOT NULL, batch NUMBER(19) NOT NULL, clock NUMBER(19) NOT NULL, delivered NUMBER(19) NOT NULL, settled NUMBER(19) NOT NULL
);
CREATE TABLE tlim_id (
  msg_id VARCHAR2(64 CHAR) NOT NULL, class VARCHAR2(1 CHAR) NOT NULL, msg_from VARCHAR2(64 CHAR), conversation VARCHAR2(200 CHAR),
  msg_time VARCHAR2(20 CHAR), digest VARCHAR2(64 CHAR), state VARCHAR2(10 CHAR) NOT NULL,
  PRIMARY KEY (msg_id, class)
);
CREATE TABLE tlim_user (
  user_id VARCHAR2(64 CHAR) NOT NULL PRIMARY KEY,
  jid VARCHAR2(255 CHAR), user_name VARCHAR2(256 CHAR), acct_login VARCHAR2(64 CHAR), user_email VARCHAR2(256 CHAR), pic_url VARCHAR2(256 CHAR),
  push_code VARCHAR2(255 CHAR), push_os VARCHAR2(20 CHAR), confirms NUMBER(10) DEFAULT 0 NOT NULL, learned NUMBER(10) DEFAULT 0 NOT NULL,
  has_left NUMBER(10) DEFAULT 0 NOT NULL, generation NUMBER(19) DEFAULT 0 NOT NULL,
  account NUMBER(10) DEFAULT 0 NOT NULL, stale NUMBER(19) DEFAULT 0 NOT NULL, robot NUMBER(10) DEFAULT 0 NOT NULL
);
CREATE TABLE tlim_former (
  session_id VARCHAR2(64 CHAR) NOT NULL, user_id VARCHAR2(64 CHAR) NOT NULL, ts VARCHAR2(20 CHAR) NOT NULL,
  PRIMARY KEY (session_id, user_id)
);
CREATE TABLE tlim_purge (session_id VARCHAR2(64 CHAR) NOT NULL PRIMARY KEY, ts VARCHAR2(20 CHAR));
CREATE TABLE tlim_secret (name VARCHAR2(64 CHAR) NOT NULL PRIMARY KEY, value VARCHAR2(256 CHAR));
CREATE TABLE tlim_file (
  file_id VARCHAR2(64 CHAR) NOT NULL PRIMARY KEY,
  file_name VARCHAR2(256 CHAR), media_type VARCHAR2(64 CHAR), file_size NUMBER(19) NOT NULL, digest VARCHAR2(64 CHAR), user_id VARCHAR2(64 CHAR),
  ts VARCHAR2(20 CHAR)
);
CREATE TABLE tlim_file_use (
  file_id VARCHAR2(64 CHAR) NOT NULL, msg_id VARCHAR2(64 CHAR) NOT NULL,
  PRIMARY KEY (file_id, msg_id)
);
CREATE TABLE tlim_push (
  push_id VARCHAR2(64 CHAR) NOT NULL PRIMARY KEY,
  channel VARCHAR2(20 CHAR) NOT NULL, msg_id VARCHAR2(64 CHAR), msg_type VARCHAR2(20 CHAR), platforms VARCHAR2(20 CHAR), title VARCHAR2(256 CHAR), alert VARCHAR2(400 CHAR),
  receivers CLOB, made VARCHAR2(20 CHAR), due VARCHAR2(20 CHAR) NOT NULL, tries NUMBER(10) NOT NULL, call_id VARCHAR2(128 CHAR), done NUMBER(10) NOT NULL, outcome VARCHAR2(20 CHAR)
);
-- Calls that push notices.
CREATE TABLE tlim_call (
  call_id VARCHAR2(64 CHAR) NOT NULL PRIMARY KEY,
  call_key VARCHAR2(64 CHAR), business VARCHAR2(64 CHAR), caller VARCHAR2(64 CHAR), msg_type VARCHAR2(20 CHAR), digest VARCHAR2(64 CHAR), body CLOB,
  receivers NUMBER(10) NOT NULL, made VARCHAR2(20 CHAR) NOT NULL, done NUMBER(10) NOT NULL, answer VARCHAR2(20 CHAR)
);
-- Their receivers who have no message yet, one row per transaction: each goes in the transaction that serves it.
CREATE TABLE tlim_call_part (
  call_id VARCHAR2(64 CHAR) NOT NULL, first_no NUMBER(10) NOT NULL, receivers CLOB,
  PRIMARY KEY (call_id, first_no)
);
-- Keys of the HTTP API that were made while it ran; of the secret its digest.
CREATE TABLE tlim_key (
  name VARCHAR2(64 CHAR) NOT NULL PRIMARY KEY,
  digest VARCHAR2(64 CHAR) NOT NULL, scopes VARCHAR2(64 CHAR), rate VARCHAR2(32 CHAR), made VARCHAR2(20 CHAR), made_by VARCHAR2(64 CHAR), ended VARCHAR2(20 CHAR), ended_by VARCHAR2(64 CHAR),
  robot_id VARCHAR2(64 CHAR), robot_name VARCHAR2(64 CHAR)
);
-- What administrators changed, and tried to.
CREATE TABLE tlim_audit (
  audit_id VARCHAR2(64 CHAR) NOT NULL PRIMARY KEY,
  ts VARCHAR2(20 CHAR) NOT NULL, who VARCHAR2(64 CHAR), address VARCHAR2(64 CHAR), what VARCHAR2(40 CHAR) NOT NULL, target VARCHAR2(64 CHAR), detail VARCHAR2(400 CHAR), outcome VARCHAR2(20 CHAR) NOT NULL
);
-- Events for business systems: those that wait to be sent, and the dead ones, which were given up.
CREATE TABLE tlim_event (
  event_id VARCHAR2(64 CHAR) NOT NULL PRIMARY KEY,
  kind VARCHAR2(20 CHAR) NOT NULL, conversation VARCHAR2(200 CHAR), body CLOB, made VARCHAR2(20 CHAR), due VARCHAR2(20 CHAR) NOT NULL, tries NUMBER(10) NOT NULL, dead NUMBER(10) NOT NULL, reason VARCHAR2(256 CHAR)
);
-- Which process leads (1), and which stands by (2).
CREATE TABLE tlim_leader (
  id NUMBER(10) NOT NULL PRIMARY KEY,
  epoch NUMBER(19) NOT NULL, beat NUMBER(19) NOT NULL, process VARCHAR2(64 CHAR) NOT NULL, host VARCHAR2(255 CHAR), pid NUMBER(19), version VARCHAR2(64 CHAR), address VARCHAR2(255 CHAR),
  domain VARCHAR2(255 CHAR), component VARCHAR2(255 CHAR), marker VARCHAR2(64 CHAR), standby NUMBER(10) NOT NULL, released NUMBER(10) NOT NULL, settings VARCHAR2(2000 CHAR)
);
