import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.math.BigDecimal;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.sql.Clob;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Types;
import java.util.HashMap;
import java.util.Map;
import org.h2.engine.Mode;

/**
 * Databases in memory, each in a compatibility mode of H2, for tests written in Go (store/h2_test.go has the other end).
 *
 * H2's own door for PostgreSQL clients does not do: each connection through it sets the mode of the whole database to PostgreSQL, also
 * for those that are in the middle of a statement, and the order of NULL with it.
 *
 * A connection begins with the JDBC URL. A request is a verb, a statement and its values; an answer is E (error), U (how many rows were
 * changed) or R (columns, then rows). Texts have a length of four bytes in front.
 */
public class Door {
    public static void main(String[] args) throws Exception {
        // SQL Server takes NULL for one value in a unique index, which is why ours leave those rows out. H2 has no such indexes.
        Mode.getInstance("MSSQLServer").uniqueIndexNullsHandling = Mode.UniqueIndexNullsHandling.ALLOW_DUPLICATES_WITH_ANY_NULL;
        try (ServerSocket server = new ServerSocket(Integer.parseInt(args[0]), 50, InetAddress.getLoopbackAddress())) {
            while (true) {
                Socket client = server.accept();
                client.setTcpNoDelay(true);
                Thread t = new Thread(() -> serve(client));
                t.setDaemon(true);
                t.start();
            }
        }
    }

    static void serve(Socket client) {
        try (client;
                DataInputStream in = new DataInputStream(new BufferedInputStream(client.getInputStream()));
                DataOutputStream out = new DataOutputStream(new BufferedOutputStream(client.getOutputStream()))) {
            Connection db;
            try {
                db = DriverManager.getConnection(text(in), "tlim", "tlim");
            } catch (SQLException e) {
                error(out, e);
                out.flush();
                return;
            }
            try (db) {
                changed(out, 0);
                out.flush();
                Map<String, PreparedStatement> prepared = new HashMap<>();
                int verb;
                while ((verb = in.read()) >= 0) {
                    try {
                        answer(db, prepared, verb, in, out);
                    } catch (SQLException e) {
                        error(out, e);
                    }
                    out.flush();
                }
            }
        } catch (IOException e) {
            // The client has gone, in the middle of something; its transaction is rolled back.
        } catch (SQLException e) {
            System.err.println("close: " + e);
        }
    }

    static void answer(Connection db, Map<String, PreparedStatement> prepared, int verb, DataInputStream in, DataOutputStream out)
            throws IOException, SQLException {
        String sql = text(in);
        Object[] values = new Object[in.readInt()];
        for (int i = 0; i < values.length; i++) {
            values[i] = value(in);
        }
        switch (verb) {
            case 'B':
                db.setAutoCommit(false);
                changed(out, 0);
                return;
            case 'C':
                db.commit();
                db.setAutoCommit(true);
                changed(out, 0);
                return;
            case 'R':
                db.rollback();
                db.setAutoCommit(true);
                changed(out, 0);
                return;
            case 'P': // only whether it is a statement
                prepare(db, prepared, sql);
                changed(out, 0);
                return;
            case 'D': // the database itself ends, and with it this connection
                try (Statement st = db.createStatement()) {
                    st.execute(sql);
                }
                changed(out, 0);
                return;
            default:
        }
        PreparedStatement st = prepare(db, prepared, sql);
        for (int i = 0; i < values.length; i++) {
            if (values[i] == null) {
                st.setNull(i + 1, Types.VARCHAR);
            } else {
                st.setObject(i + 1, values[i]);
            }
        }
        if (!st.execute()) {
            changed(out, st.getUpdateCount());
            return;
        }
        try (ResultSet found = st.getResultSet()) {
            rows(out, found);
        }
    }

    static PreparedStatement prepare(Connection db, Map<String, PreparedStatement> prepared, String sql) throws SQLException {
        PreparedStatement st = prepared.get(sql);
        if (st == null) {
            st = db.prepareStatement(sql);
            prepared.put(sql, st);
        }
        return st;
    }

    static void rows(DataOutputStream out, ResultSet found) throws IOException, SQLException {
        int width = found.getMetaData().getColumnCount();
        out.write('R');
        out.writeInt(width);
        for (int i = 1; i <= width; i++) {
            text(out, found.getMetaData().getColumnLabel(i));
        }
        while (found.next()) {
            out.write('+');
            for (int i = 1; i <= width; i++) {
                value(out, found.getObject(i));
            }
        }
        out.write('.');
    }

    static void changed(DataOutputStream out, long rows) throws IOException {
        out.write('U');
        out.writeLong(rows);
    }

    static void error(DataOutputStream out, SQLException e) throws IOException {
        out.write('E');
        out.writeInt(e.getErrorCode());
        text(out, e.getMessage());
    }

    static Object value(DataInputStream in) throws IOException {
        int kind = in.read();
        switch (kind) {
            case 'N':
                return null;
            case 'I':
                return in.readLong();
            case 'S':
                return text(in);
            case 'B':
                return bytes(in);
            default:
                throw new IOException("a value of kind " + kind);
        }
    }

    static void value(DataOutputStream out, Object v) throws IOException, SQLException {
        if (v == null) {
            out.write('N');
        } else if (v instanceof byte[]) {
            out.write('B');
            out.writeInt(((byte[]) v).length);
            out.write((byte[]) v);
        } else if (v instanceof Integer || v instanceof Long || v instanceof Short || v instanceof Boolean) {
            out.write('I');
            out.writeLong(v instanceof Boolean ? ((Boolean) v ? 1 : 0) : ((Number) v).longValue());
        } else if (v instanceof BigDecimal) { // the drivers give text for them
            out.write('B');
            byte[] digits = ((BigDecimal) v).toPlainString().getBytes(StandardCharsets.US_ASCII);
            out.writeInt(digits.length);
            out.write(digits);
        } else {
            out.write('S');
            text(out, v instanceof Clob ? ((Clob) v).getSubString(1, (int) ((Clob) v).length()) : v.toString());
        }
    }

    static byte[] bytes(DataInputStream in) throws IOException {
        byte[] b = new byte[in.readInt()];
        in.readFully(b);
        return b;
    }

    static String text(DataInputStream in) throws IOException {
        return new String(bytes(in), StandardCharsets.UTF_8);
    }

    static void text(DataOutputStream out, String s) throws IOException {
        byte[] b = s.getBytes(StandardCharsets.UTF_8);
        out.writeInt(b.length);
        out.write(b);
    }
}
