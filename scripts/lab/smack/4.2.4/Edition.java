import java.util.function.Consumer;
import org.jivesoftware.smack.SmackConfiguration;
import org.jivesoftware.smack.XMPPConnection;
import org.jivesoftware.smack.chat2.ChatManager;
import org.jivesoftware.smack.packet.ExtensionElement;
import org.jivesoftware.smack.tcp.XMPPTCPConnectionConfiguration;

/** What is spelled otherwise in Smack 4.2.4 than in the other versions. */
final class Edition {
    static XMPPTCPConnectionConfiguration.Builder configuration(String domain) throws Exception {
        return XMPPTCPConnectionConfiguration.builder().setXmppDomain(domain);
    }

    /** How long the library waits for an answer of the server. */
    static void timeout(int milliseconds) {
        SmackConfiguration.setDefaultReplyTimeout(milliseconds);
    }

    /** Makes the library silent where it is asked what it does not know. */
    static void silence() {
        SmackConfiguration.setUnknownIqRequestReplyMode(SmackConfiguration.UnknownIqRequestReplyMode.doNotReply);
    }

    /** Tells of what the library's newer manager of chats shows. */
    static void chats(XMPPConnection connection, Consumer<String> shown) {
        ChatManager.getInstanceFor(connection).addIncomingListener((from, message, chat) -> shown.accept(message.getStanzaId()));
    }

    /** Asks tlim for its server receipt. */
    static final class Acknowledge implements ExtensionElement {
        @Override
        public String getElementName() {
            return "tlim";
        }

        @Override
        public String getNamespace() {
            return "im.itonglian.com";
        }

        @Override
        public CharSequence toXML() {
            return "<tlim xmlns='im.itonglian.com' ack='1'/>";
        }
    }
}
