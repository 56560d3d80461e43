# python3 python-stdlib.py http://raspberrypi.local:1920/c/lamp [TEXT]: sends the text, prints what comes, and misses nothing.
import json, os, sys, time
from urllib.error import HTTPError
from urllib.request import Request, urlopen
url, after, headers = sys.argv[1], "", {"Authorization": "Bearer " + os.environ.get("FOGHORN_CODE", "")}
for text in sys.argv[2:]:
    urlopen(Request(url, text.encode(), headers), timeout=30)
while True:
    try:
        for line in urlopen(Request(url + "?as=json" + after, headers=headers), timeout=60):
            if line == b"\n": continue  # every 25 s, so that the line is known to work
            message = json.loads(line)
            if "epoch" in message: epoch = message["epoch"]  # the hello
            else: print(message.get("text", message.get("base64")), flush=True)
            after = f"&after={epoch}:{message['seq']}"
    except HTTPError as error:
        if error.code < 429: raise  # the same again would be refused again: 401 is a wrong code
    except (OSError, ValueError):
        pass  # ended, or broken within a message
    time.sleep(2)
