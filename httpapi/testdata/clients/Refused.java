import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.net.HttpURLConnection;
import java.net.URL;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Paths;

/** Sends each call of standard input by HttpURLConnection and prints the status and body of its answer, a line each. */
public class Refused {
    public static void main(String[] args) throws IOException {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line; (line = in.readLine()) != null;) {
            String[] call = line.split("\t", -1);
            try {
                System.out.println(send(call[0], call[1], call[2], Files.readAllBytes(Paths.get(call[3])), call[4]));
            } catch (IOException e) {
                System.out.println("failed " + e);
            }
        }
    }

    private static String send(String url, String media, String key, byte[] body, String way) throws IOException {
        HttpURLConnection conn = (HttpURLConnection) new URL(url).openConnection();
        conn.setRequestMethod("POST");
        conn.setDoOutput(true);
        conn.setReadTimeout(120_000);
        conn.setRequestProperty("Content-Type", media);
        if (!key.isEmpty()) {
            conn.setRequestProperty("Authorization", "Bearer " + key);
        }
        if (way.equals("chunked")) {
            conn.setChunkedStreamingMode(65536);
        } else {
            conn.setFixedLengthStreamingMode(body.length);
        }
        try (OutputStream out = conn.getOutputStream()) {
            out.write(body);
        }
        int status = conn.getResponseCode();
        InputStream answer = status < 400 ? conn.getInputStream() : conn.getErrorStream();
        return status + " " + (answer == null ? "" : new String(answer.readAllBytes(), StandardCharsets.UTF_8));
    }
}
