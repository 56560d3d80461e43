# A lamp on an ESP32, ESP8266 or Pico W with MicroPython: does what comes, and says so elsewhere. boot.py brings the board into the network.
import socket, time
HOST, PORT, CHANNEL, CODE = "192.168.1.5", 1920, "/c/lamp", ""
def ask(method, channel, position="", text=""):
    hub = socket.socket(); hub.settimeout(60); hub.connect(socket.getaddrinfo(HOST, PORT)[0][-1])  # it says something every 25 s
    lines = "%s %s?as=events HTTP/1.0\r\nHost: %s\r\nAuthorization: Bearer %s\r\nLast-Event-ID: %s\r\nContent-Length: %d\r\n\r\n%s"
    hub.write(lines % (method, channel, HOST, CODE, position, len(text), text))
    if b" 401 " in hub.readline(): raise RuntimeError("The hub wants another CODE")
    return hub
position, whole = "", True
while True:
    try:
        hub = ask("GET", CHANNEL, position)
        while line := hub.readline(99):  # of a longer one, what follows is in no line of its own
            if whole and line.startswith(b"id: "): position = line[4:-1].decode()
            if whole and line in (b"data: on\n", b"data: off\n"):  # machine.Pin(2, machine.Pin.OUT).value(line == b"data: on\n")
                ask("POST", CHANNEL + "-said", text="The lamp is " + line[6:-1].decode()).close()
            whole = line[-1:] == b"\n"
    except OSError: pass
    time.sleep(2)
