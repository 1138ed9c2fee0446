import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.jivesoftware.openfire.XMPPServer;

/**
 * Runs Openfire 4.2, whose server class has no main method, until SIGTERM.
 *
 * First it brings the database up to what scripts/openfire wrote into the home: on an empty one the tables (tables.sql),
 * at each start the properties (properties: KEY=VALUE lines) and users (users: NAME:PASSWORD lines). All that
 * else is in the database stays.
 */
public final class Launcher {
    public static void main(String[] args) throws Exception {
        Path home = Paths.get(System.getProperty("openfireHome"));
        Properties database = new Properties();
        try (var in = Files.newBufferedReader(home.resolve("database"), StandardCharsets.UTF_8)) {
            database.load(in);
        }
        Class.forName(database.getProperty("driver"));
        try (Connection db = DriverManager.getConnection(
                database.getProperty("url"), database.getProperty("user"), database.getProperty("password"))) {
            if (isEmpty(db)) {
                create(db, Files.readString(home.resolve("tables.sql")), database.getProperty("text"));
            }
            setProperties(db, lines(home.resolve("properties")));
            setUsers(db, lines(home.resolve("users")));
            if (database.getProperty("url").startsWith("jdbc:hsqldb:")) {
                // HSQLDB writes its log twice a second: without this a kill -9 right after the start would take the accounts.
                db.createStatement().execute("CHECKPOINT");
            }
        }

        XMPPServer server = new XMPPServer(); // starts everything
        Runtime.getRuntime().addShutdownHook(new Thread(() -> stop(server, database)));
        new CountDownLatch(1).await();
    }

    private static void stop(XMPPServer server, Properties database) {
        server.stop();
        if (!database.getProperty("url").startsWith("jdbc:hsqldb:")) {
            return;
        }
        // Otherwise what was written within the last half second is lost.
        try (Connection db = DriverManager.getConnection(
                database.getProperty("url"), database.getProperty("user"), database.getProperty("password"))) {
            db.createStatement().execute("SHUTDOWN");
        } catch (SQLException e) {
            e.printStackTrace();
        }
    }

    private static List<String> lines(Path file) throws Exception {
        return Files.readAllLines(file, StandardCharsets.UTF_8);
    }

    /** The version row is the last statement of the schema: without it an earlier attempt was cut short. */
    private static boolean isEmpty(Connection db) {
        try (var rows = db.createStatement().executeQuery("SELECT version FROM ofVersion WHERE name = 'openfire'")) {
            return !rows.next();
        } catch (SQLException noTable) {
            return true;
        }
    }

    private static void create(Connection db, String schema, String text) throws SQLException {
        for (String statement : schema.replaceAll("(?m)^--.*$", "").replace("TEXTTYPE", text).split(";\\s*\n")) {
            if (statement.isBlank()) {
                continue;
            }
            if (statement.strip().startsWith("CREATE TABLE ")) {
                db.createStatement().execute("DROP TABLE IF EXISTS " + statement.strip().split("[ (]+")[2]);
            }
            db.createStatement().execute(statement);
        }
    }

    private static void setProperties(Connection db, List<String> properties) throws SQLException {
        db.setAutoCommit(false);
        try (PreparedStatement delete = db.prepareStatement("DELETE FROM ofProperty WHERE name = ?");
                PreparedStatement insert = db.prepareStatement("INSERT INTO ofProperty (name, propValue, encrypted) VALUES (?, ?, 0)")) {
            for (String property : properties) {
                String[] pair = property.split("=", 2);
                delete.setString(1, pair[0]);
                delete.executeUpdate();
                insert.setString(1, pair[0]);
                insert.setString(2, pair[1]);
                insert.executeUpdate();
            }
        }
        db.commit();
        db.setAutoCommit(true);
    }

    private static void setUsers(Connection db, List<String> users) throws SQLException {
        db.setAutoCommit(false);
        String now = String.format("%015d", System.currentTimeMillis());
        try (PreparedStatement delete = db.prepareStatement("DELETE FROM ofUser WHERE username = ?");
                PreparedStatement insert = db.prepareStatement(
                        "INSERT INTO ofUser (username, plainPassword, name, email, creationDate, modificationDate) VALUES (?, ?, ?, ?, ?, ?)")) {
            for (String user : users) {
                String[] pair = user.split(":", 2);
                delete.setString(1, pair[0]);
                delete.executeUpdate();
                insert.setString(1, pair[0]);
                insert.setString(2, pair[1]);
                insert.setString(3, pair[0]);
                insert.setString(4, pair[0] + "@im.test");
                insert.setString(5, now);
                insert.setString(6, now);
                insert.executeUpdate();
            }
        }
        db.commit();
        db.setAutoCommit(true);
    }
}
