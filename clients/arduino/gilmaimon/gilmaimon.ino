// A lamp with a switch, for ESP32 and ESP8266, with the library "ArduinoWebsockets" by Gil Maimon.
#include <ArduinoWebsockets.h>
const int LED = 2, BUTTON = 0;
websockets::WebsocketsClient hub;
bool lit = false, pressed = false;
unsigned long pinged = 0;
void heard(websockets::WebsocketsMessage message) {  // what was sent here comes back, too: all lamps do the same
  if (message.data() == "on" || message.data() == "off") digitalWrite(LED, lit = message.data() == "on");
}
void setup() {
  pinMode(LED, OUTPUT); pinMode(BUTTON, INPUT_PULLUP); WiFi.begin("NETWORK", "PASSWORD"); hub.onMessage(heard);
}
void loop() {  // with a code: "/c/lamp?history=1&code=4711"
  if (!hub.available() && !hub.connect("192.168.1.5", 1919, "/c/lamp?history=1")) return delay(5000);
  if (millis() - pinged > 15000) { pinged = millis(); hub.ping(); }  // a line that is dead is found by what is sent
  hub.poll();
  if (pressed == (digitalRead(BUTTON) == LOW)) return;
  if ((pressed = !pressed)) hub.send(lit ? "off" : "on");
  delay(20);  // a button bounces
}
