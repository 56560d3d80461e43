# A lamp on an ESP32, ESP8266 or Pico W with MicroPython: does what comes, and says so. boot.py brings the board into the network.
import socket, time
HOST, PORT, CHANNEL, CODE = "192.168.1.5", 1920, "/c/lamp", ""
def ask(method, position="", text=""):
    hub = socket.socket(); hub.settimeout(60)  # the hub says something every 25 s
    hub.connect(socket.getaddrinfo(HOST, PORT)[0][-1])
    lines = "%s %s?as=events HTTP/1.0\r\nHost: %s\r\nAuthorization: Bearer %s\r\nLast-Event-ID: %s\r\nContent-Length: %d\r\n\r\n%s"
    hub.write(lines % (method, CHANNEL, HOST, CODE, position, len(text), text))
    if b" 401 " in hub.readline(): raise RuntimeError("The hub wants another CODE")
    return hub
position = ""
while True:
    try:
        hub = ask("GET", position)
        while line := hub.readline(99):  # those of the head mean nothing here, and no text is too long
            if line.startswith(b"id: "): position = line[4:-1].decode()
            if line in (b"data: on\n", b"data: off\n"):  # machine.Pin(2, machine.Pin.OUT).value(line == b"data: on\n")
                ask("POST", text="The lamp is " + line[6:-1].decode()).close()
    except OSError: pass
    time.sleep(2)
