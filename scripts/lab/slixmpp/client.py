#!/usr/bin/env python3
"""A stock client of another language on tlim: slixmpp, as it comes from PyPI.

Logs in, sends one chat message with an envelope to the component, and waits for its server receipt (MTC-100) and, with
--peer, for a message from that user. Prints one JSON object per line:

  {"event": "online", "jid": "lisi@im.test/py"}                    logged in; available to server and component
  {"event": "sent", "msg_id": ...}
  {"event": "received", "kind": "MTC-100", "msg_id": ..., "from": ..., "id": ..., "subject": ..., "envelope": {...}}
                                                                   kind "error" has "condition" and "text" instead
  {"event": "done"}                                                all that was waited for has come

Exit code 0 after done; 1 when the time is over or the connection is lost, 2 when the login is refused, each with an event that says why.
--receive-first sends only after the message of the peer has come.
"""

import argparse
import asyncio
import json
import sys
import time
import uuid

import slixmpp


def say(event, **more):
    print(json.dumps({"event": event, **more}, ensure_ascii=False), flush=True)


class Client(slixmpp.ClientXMPP):
    def __init__(self, o):
        super().__init__(f"{o.user}@{o.domain}/{o.resource}", o.password)
        self.o = o
        self.outcome = self.loop.create_future()
        self.waits = {"MTC-100"} | ({"peer"} if o.peer else set())
        self.msg_id = o.msg_id or str(uuid.uuid4())
        self.enable_starttls = self.enable_direct_tls = False
        self.enable_plaintext = True
        # The lab servers offer no TLS; both mechanisms are used over a loopback connection.
        self.plugin["feature_mechanisms"].unencrypted_plain = True
        self.plugin["feature_mechanisms"].unencrypted_scram = True
        self.register_plugin("xep_0184")  # answers <request/> with <received/> by itself
        self.register_plugin("xep_0199")
        self.add_event_handler("session_start", self.on_start)
        self.add_event_handler("message", self.on_message)
        self.add_event_handler("message_error", self.on_message)
        self.add_event_handler("failed_all_auth", lambda _: self.finish(2, "login refused"))
        self.add_event_handler("connection_failed", lambda e: self.finish(1, f"connection failed: {e}"))
        self.add_event_handler("disconnected", lambda e: self.finish(1, f"disconnected: {e}"))

    def finish(self, code, why=None):
        if not self.outcome.done():
            say("done") if code == 0 else say("failed", why=why, missing=sorted(self.waits))
            self.outcome.set_result(code)

    async def on_start(self, _):
        self.send_presence()
        self.send_presence(pto=self.o.component)
        await self.plugin["xep_0199"].send_ping(self.o.domain)  # the server has processed both by its answer
        say("online", jid=str(self.boundjid))
        if not self.o.receive_first:
            self.send_text()

    def send_text(self):
        envelope = {
            "compress": "0", "encode": "1", "encrypt": "0", "version": "2.1.0",
            "msg_id": self.msg_id, "msg_type": "MTS-000" if self.o.session else "MTT-000",
            "msg_from": self.o.user, "msg_to": self.o.session or self.o.to, "msg_time": str(int(time.time() * 1000)),
            "body": [{"text": self.o.text, **({"session_id": self.o.session} if self.o.session else {})}],
        }
        message = self.make_message(self.o.component, mbody=json.dumps(envelope, ensure_ascii=False), mtype="chat")
        message["id"] = self.msg_id
        ask = slixmpp.xmlstream.ET.SubElement(message.xml, "{im.itonglian.com}tlim")
        ask.set("ack", "1")
        message.send()
        say("sent", msg_id=self.msg_id)

    def on_message(self, message):
        seen = {"from": str(message["from"]), "id": message["id"], "subject": message["subject"]}
        if message["type"] == "error":
            say("received", kind="error", condition=message["error"]["condition"], text=message["error"]["text"], **seen)
            return
        try:
            envelope = json.loads(message["body"])
        except ValueError:
            say("received", kind="", body=message["body"], **seen)
            return
        kind, author = envelope.get("msg_type"), envelope.get("msg_from")
        say("received", kind=kind, msg_id=envelope.get("msg_id"), envelope=envelope, **seen)
        if kind == "MTC-100":
            body = envelope["body"]
            acknowledged = json.loads(body) if isinstance(body, str) else body
            if any(o["msg_id"] == self.msg_id for o in acknowledged):
                self.waits.discard("MTC-100")
        elif author == self.o.peer and message["subject"] != "ASYNC" and "peer" in self.waits:
            self.waits.discard("peer")
            if self.o.receive_first:
                self.send_text()
        if not self.waits:
            self.finish(0)


async def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--host", default="127.0.0.1")
    p.add_argument("--port", type=int, required=True)
    p.add_argument("--domain", default="im.test")
    p.add_argument("--component", default="tlim.im.test")
    p.add_argument("--user", required=True)
    p.add_argument("--password", required=True)
    p.add_argument("--resource", default="py")
    p.add_argument("--to", required=True, help="user id of the receiver")
    p.add_argument("--session", default="", help="send to this group instead (--to is then ignored)")
    p.add_argument("--text", default="\u4f60\u597d \U0001f600 from slixmpp")
    p.add_argument("--msg-id", default="", help="default: a random UUID")
    p.add_argument("--peer", default="", help="user id from whom a message is waited for; none: only the receipt")
    p.add_argument("--receive-first", action="store_true")
    p.add_argument("--timeout", type=float, default=30, help="seconds")
    o = p.parse_args()

    client = Client(o)
    client.connect(o.host, o.port)
    try:
        code = await asyncio.wait_for(asyncio.shield(client.outcome), o.timeout)
    except asyncio.TimeoutError:
        client.finish(1, f"not all has come within {o.timeout:g} s")
        code = 1
    if code == 0:
        await client.disconnect()
    else:
        client.abort()
    return code


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
