import java.util.function.Consumer;
import org.jivesoftware.smack.SmackConfiguration;
import org.jivesoftware.smack.XMPPConnection;
import org.jivesoftware.smack.packet.ExtensionElement;
import org.jivesoftware.smack.tcp.XMPPTCPConnectionConfiguration;

/** What is spelled otherwise in Smack 4.1.9 than in the other versions. */
final class Edition {
    static XMPPTCPConnectionConfiguration.Builder configuration(String domain) {
        return XMPPTCPConnectionConfiguration.builder().setServiceName(domain);
    }

    /** How long the library waits for an answer of the server. */
    static void timeout(int milliseconds) {
        SmackConfiguration.setDefaultPacketReplyTimeout(milliseconds);
    }

    /** Makes the library silent where it is asked what it does not know. */
    static void silence() {
        throw new UnsupportedOperationException("Smack 4.1.9 always answers");
    }

    /** There is no such manager in it. */
    static void chats(XMPPConnection connection, Consumer<String> shown) {
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
