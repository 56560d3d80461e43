# python3 python-websockets.py ws://raspberrypi.local:1919/c/lamp [TEXT]: sends the text, prints what comes, and misses nothing.
import asyncio, json, os, sys
from websockets import ConnectionClosed, WebSocketException, connect
async def main(url, texts):
    code, after = os.environ.get("FOGHORN_CODE"), ""
    while True:
        try:
            wish = (f"?code={code}&" if code else "?") + after
            async with connect(url + wish, subprotocols=["foghorn.v1"], max_size=None) as hub:
                hello = json.loads(await hub.recv())  # in place of the greeting
                seq = hello["seq"]
                while texts: await hub.send(texts.pop(0))
                while True:
                    after = f"after={hello['epoch']}:{seq}"
                    print(await hub.recv(), flush=True)  # what was sent here comes back, too
                    seq += 1
        except (OSError, WebSocketException) as error:
            if isinstance(error, ConnectionClosed) and error.rcvd and error.rcvd.code == 4401: raise  # the code is wrong
        await asyncio.sleep(2)
asyncio.run(main(sys.argv[1], sys.argv[2:]))
