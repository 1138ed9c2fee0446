import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.logging.Level;
import java.util.logging.Logger;
import org.jivesoftware.smack.AbstractConnectionListener;
import org.jivesoftware.smack.ConnectionConfiguration.SecurityMode;
import org.jivesoftware.smack.SmackConfiguration;
import org.jivesoftware.smack.XMPPConnection;
import org.jivesoftware.smack.filter.StanzaTypeFilter;
import org.jivesoftware.smack.packet.Message;
import org.jivesoftware.smack.tcp.XMPPTCPConnection;
import org.jivesoftware.smackx.carbons.CarbonManager;
import org.jivesoftware.smackx.carbons.packet.CarbonExtension;
import org.jivesoftware.smackx.chatstates.ChatState;
import org.jivesoftware.smackx.chatstates.packet.ChatStateExtension;
import org.jivesoftware.smackx.receipts.DeliveryReceiptManager;
import org.jivesoftware.smackx.receipts.DeliveryReceiptManager.AutoReceiptMode;

/**
 * Phones of users as an Android app makes them with Smack, any number in one process, driven by lines of JSON.
 *
 * A command has a number n, a phone (any name) and "do"; its answer has the same n, and "error" when it failed:
 *
 *   hello                                                                                    nothing
 *   connect     host, port, domain, user, password, resource, sm, resume, receipts, carbons   a new connection, logged in
 *   reconnect   the same connection object again, as an app does whose connection broke: it resumes where it can
 *   send        to, id, body, ack, private                                                    a chat message; private: of which there are no carbons
 *   active      to                                                                           the chat state of that name
 *   disconnect                                                                               in order
 *
 * Commands of one phone are done in turn, those of different phones side by side. Both kinds of login answer jid and resumed. receipts is
 * always, off, or "" for what the library does by itself (it answers only who is in the roster). What the phones get is told as
 *
 *   {"phone": ..., "at": epoch milliseconds, "message": the stanza as Smack read it}
 *   {"phone": ..., "at": ..., "chat2": its id}                        the same by chat2.ChatManager, if that shows it
 *   {"phone": ..., "at": ..., "broken": why}                          its connection broke
 *
 * Nothing but the library answers for a phone: no ping, no receipt and no acknowledgement is made here. The arguments are classes that Smack
 * is not to load, such as org.jivesoftware.smackx.ping.PingManager, and --silent for a library that answers no unknown question. The process
 * ends with its standard input.
 */
public final class Phones {
    /** How long a broken connection may take to be noticed by the library. */
    private static final int NOTICE_SECONDS = 10;

    /** The library's 5 s are little on a machine that does other things at the same time. */
    private static final int ANSWER_MILLISECONDS = 50_000;

    private static final PrintStream out = new PrintStream(new java.io.FileOutputStream(java.io.FileDescriptor.out), false, StandardCharsets.UTF_8);

    /** Smack's log tells of each broken connection. Kept here, or it would be collected and its level with it. */
    private static final Logger quiet = Logger.getLogger("org.jivesoftware.smack");

    public static void main(String[] arguments) throws Exception {
        System.setOut(System.err); // ours alone
        quiet.setLevel(Level.SEVERE);
        Edition.timeout(ANSWER_MILLISECONDS);
        // Its part for uploads holds up each login until all services of the server have said what they are.
        SmackConfiguration.addDisabledSmackClass("org.jivesoftware.smackx.httpfileupload.HttpFileUploadManager");
        for (String name : arguments) {
            if (name.equals("--silent")) {
                Edition.silence();
            } else {
                SmackConfiguration.addDisabledSmackClass(name);
            }
        }
        Map<String, Phone> phones = new HashMap<>();
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line; (line = in.readLine()) != null;) {
            JsonObject command = JsonParser.parseString(line).getAsJsonObject();
            phones.computeIfAbsent(command.get("phone").getAsString(), Phone::new).take(command);
        }
        System.exit(0); // without logging out: whoever wants that says disconnect
    }

    private static void say(JsonObject event) {
        synchronized (out) {
            out.println(event);
            out.flush();
        }
    }

    private static final class Phone {
        private final String name;
        private final ExecutorService turns = Executors.newSingleThreadExecutor();
        private Line line;
        // What a connection has read its app has seen: kept, or Smack drops what waits in its queue when the object is collected.
        private final List<Line> lines = new ArrayList<>();

        Phone(String name) {
            this.name = name;
        }

        void take(JsonObject command) {
            turns.execute(() -> {
                JsonObject answer = new JsonObject();
                answer.add("n", command.get("n"));
                try {
                    run(command, answer);
                } catch (Exception e) {
                    answer.addProperty("error", e.toString());
                }
                say(answer);
            });
        }

        private void run(JsonObject command, JsonObject answer) throws Exception {
            switch (command.get("do").getAsString()) {
            case "hello": // it is up
                break;
            case "connect":
                line = new Line(name, command);
                lines.add(line);
                line.login(answer);
                break;
            case "reconnect":
                if (!line.over.await(NOTICE_SECONDS, TimeUnit.SECONDS)) {
                    throw new IllegalStateException("the connection is not broken");
                }
                line.login(answer);
                break;
            case "send":
                Message message = new Message(text(command, "to"), text(command, "body"));
                message.setType(Message.Type.chat);
                message.setStanzaId(text(command, "id"));
                if (flag(command, "ack")) {
                    message.addExtension(new Edition.Acknowledge());
                }
                if (flag(command, "private")) {
                    message.addExtension(CarbonExtension.Private.INSTANCE);
                }
                line.connection.sendStanza(message);
                break;
            case "active":
                Message state = new Message(text(command, "to"), (String) null);
                state.setType(Message.Type.chat);
                state.addExtension(new ChatStateExtension(ChatState.active));
                line.connection.sendStanza(state);
                break;
            case "disconnect":
                line.connection.disconnect();
                break;
            default:
                throw new IllegalArgumentException("unknown command");
            }
        }
    }

    /** A connection object of Smack and what it tells. */
    private static final class Line extends AbstractConnectionListener {
        private final String phone;
        private final boolean carbons;
        final XMPPTCPConnection connection;
        volatile CountDownLatch over = new CountDownLatch(0); // until the connection is not there any more
        private volatile boolean resumed;

        Line(String phone, JsonObject o) throws Exception {
            this.phone = phone;
            carbons = flag(o, "carbons");
            connection = new XMPPTCPConnection(Edition.configuration(text(o, "domain"))
                    .setHost(text(o, "host")).setPort(o.get("port").getAsInt())
                    .setUsernameAndPassword(text(o, "user"), text(o, "password")).setResource(text(o, "resource"))
                    .setSecurityMode(SecurityMode.disabled).build());
            connection.setUseStreamManagement(flag(o, "sm"));
            connection.setUseStreamManagementResumption(flag(o, "resume"));
            switch (text(o, "receipts")) {
            case "always":
                DeliveryReceiptManager.getInstanceFor(connection).setAutoReceiptMode(AutoReceiptMode.always);
                break;
            case "off":
                DeliveryReceiptManager.getInstanceFor(connection).setAutoReceiptMode(AutoReceiptMode.disabled);
                break;
            default: // as the library comes
            }
            connection.addConnectionListener(this);
            // In order, unlike an asynchronous one.
            connection.addSyncStanzaListener(stanza -> {
                JsonObject event = event();
                event.addProperty("message", String.valueOf(((Message) stanza).toXML()));
                say(event);
            }, StanzaTypeFilter.MESSAGE);
            Edition.chats(connection, id -> {
                JsonObject event = event();
                event.addProperty("chat2", id);
                say(event);
            });
        }

        void login(JsonObject answer) throws Exception {
            over = new CountDownLatch(1);
            try {
                connection.connect();
                connection.login();
                if (carbons && !resumed) {
                    CarbonManager.getInstanceFor(connection).enableCarbons();
                }
            } catch (Exception e) {
                connection.instantShutdown();
                over.countDown();
                throw e;
            }
            answer.addProperty("jid", String.valueOf(connection.getUser()));
            answer.addProperty("resumed", resumed);
        }

        @Override
        public void authenticated(XMPPConnection c, boolean resumed) {
            this.resumed = resumed;
        }

        @Override
        public void connectionClosed() {
            over.countDown();
        }

        @Override
        public void connectionClosedOnError(Exception e) {
            over.countDown();
            JsonObject event = event();
            event.addProperty("broken", e.toString());
            say(event);
        }

        private JsonObject event() {
            JsonObject event = new JsonObject();
            event.addProperty("phone", phone);
            event.addProperty("at", System.currentTimeMillis());
            return event;
        }
    }

    private static String text(JsonObject o, String key) {
        JsonElement e = o.get(key);
        return e == null ? "" : e.getAsString();
    }

    private static boolean flag(JsonObject o, String key) {
        JsonElement e = o.get(key);
        return e != null && e.getAsBoolean();
    }
}
