-- Each index costs about 15 % of the insert rate, so each is named with what needs it. msg_type, which the queries ask for, stands
-- in those of histories, and id_ beside the key of the deep pages: so a count and a deep page read the index alone. A unique one leaves
-- out the rows without its columns, because NULL is one value here.
-- An index whose columns change gets another name: the old one may stand there.

-- by id: revoke, receipts' authors, the cut-off of getOffline, adopted ids
CREATE INDEX tlim_message_id ON ofmessage (msg_id);
-- replay, clean-up
CREATE INDEX tlim_message_time ON ofmessage (msg_time);
-- findSessionHistory, findSessionRead, purge
CREATE INDEX tlim_message_group_all ON ofmessage (session_id, msg_time, msg_id, msg_type) INCLUDE (id_);
-- findChatHistory, findChatRead
CREATE INDEX tlim_message_pair_all ON ofmessage (msg_from, msg_to, msg_time, msg_id, msg_type) INCLUDE (id_);
-- findSystemHistory, findWebSessions (newest notice)
CREATE INDEX tlim_message_system ON ofmessage (msg_to, msg_type, msg_time, msg_id);

-- getOffline, hasUnread, a phone that comes back
CREATE INDEX tlim_pending_owner ON ofcustomoffline (delete_user, msg_time, msg_id);
-- confirmations, revokes, replay
CREATE INDEX tlim_pending_message ON ofcustomoffline (msg_id, delete_user);
-- dissolve
CREATE INDEX tlim_pending_group ON ofcustomoffline (session_id);

-- receipts and their counts
CREATE UNIQUE INDEX tlim_receipt_reader ON ofstatus (msg_id, reader) WHERE msg_id IS NOT NULL AND reader IS NOT NULL;
-- how many groups a user owns
CREATE INDEX tlim_group_owner ON ofsession ([session_user]);
-- members of a group (the key serves the groups of a user)
CREATE INDEX tlim_member_group ON ofsubscriber (session_id);
-- the pair that each 1:1 message moves
CREATE UNIQUE INDEX tlim_chat_pair ON ofchat (chat_user, chat_other) WHERE chat_user IS NOT NULL AND chat_other IS NOT NULL;
-- a user's list
CREATE INDEX tlim_chat_owner ON ofchat (chat_other);
-- announcements of a group
CREATE INDEX tlim_notice_group ON ofpubact (session_id);
-- styles of a user
CREATE INDEX tlim_style_user ON ofstyle (user_id, style_name);

-- who speaks
CREATE UNIQUE INDEX tlim_user_jid ON tlim_user (jid) WHERE jid IS NOT NULL;
-- whose device it was before
CREATE INDEX tlim_user_push ON tlim_user (push_code);
-- files past their retention
CREATE INDEX tlim_file_time ON tlim_file (ts);
-- what a user has stored
CREATE INDEX tlim_file_owner ON tlim_file (user_id, file_size);
-- which files a message names, when it is cleaned up
CREATE INDEX tlim_file_use_message ON tlim_file_use (msg_id);
-- pushes that are due, and those whose time is over
CREATE INDEX tlim_push_due ON tlim_push (channel, done, due);
-- what became of a message
CREATE INDEX tlim_push_message ON tlim_push (msg_id);
-- repeated calls; the last guard against two at once
CREATE UNIQUE INDEX tlim_call_repeat ON tlim_call (call_key) WHERE call_key IS NOT NULL;
-- calls about the same business
CREATE INDEX tlim_call_business ON tlim_call (business);
-- calls that the last process has begun
CREATE INDEX tlim_call_open ON tlim_call (done);
-- audit events past their retention
CREATE INDEX tlim_audit_time ON tlim_audit (ts);
-- what was done to something
CREATE INDEX tlim_audit_target ON tlim_audit (target, what, ts);
-- events that wait, in their order
CREATE INDEX tlim_event_order ON tlim_event (dead, event_id);
