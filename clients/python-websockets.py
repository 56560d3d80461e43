# python3 python-websockets.py ws://raspberrypi.local:1919/c/lamp [TEXT]: sends the text, prints what comes, and misses nothing.
import asyncio, json, os, sys
from websockets import ConnectionClosed, WebSocketException, connect
async def main(url, *texts):
    code, after = os.environ.get("FOGHORN_CODE"), ""
    while True:
        try:
            async with connect(url + (f"?code={code}&" if code else "?") + after, subprotocols=["foghorn.v1"]) as hub:
                hello = json.loads(await hub.recv())  # in place of the greeting
                seq = hello["seq"]
                for text in texts: await hub.send(text)
                texts = ()
                while True:
                    after = f"after={hello['epoch']}:{seq}"
                    print(await hub.recv(), flush=True)  # what was sent here comes back, too
                    seq += 1
        except (OSError, WebSocketException) as error:
            if isinstance(error, ConnectionClosed) and error.rcvd and error.rcvd.code == 4401: raise  # the code is wrong
        await asyncio.sleep(2)
asyncio.run(main(*sys.argv[1:]))
