"""Sends each call of standard input by http.client and prints the status and body of its answer, a line each."""
import http.client
import sys
from urllib.parse import urlsplit

for line in sys.stdin:
    url, media, key, file, way = line.rstrip("\n").split("\t")
    at = urlsplit(url)
    head = {"Content-Type": media}
    if key:
        head["Authorization"] = "Bearer " + key
    with open(file, "rb") as content:
        body = content.read()
    conn = http.client.HTTPConnection(at.netloc, timeout=120)
    try:
        if way == "chunked":
            pieces = (body[i:i + 65536] for i in range(0, len(body), 65536))
            conn.request("POST", at.path, pieces, head, encode_chunked=True)
        else:
            conn.request("POST", at.path, body, head)
        answer = conn.getresponse()
        print(answer.status, answer.read().decode())
    except OSError as e:
        print("failed", repr(e))
    finally:
        conn.close()
