// A lamp with a switch, for ESP32 and ESP8266, with the library "WebSockets" by Markus Sattler.
#include <WebSocketsClient.h>
const int LED = 2, BUTTON = 0;
WebSocketsClient hub;
bool lit = false, pressed = false;
void heard(WStype_t type, uint8_t *text, size_t length) {  // what was sent here comes back, too: all lamps do the same
  if (type == WStype_TEXT && length == 2 && memcmp(text, "on", 2) == 0) digitalWrite(LED, lit = true);
  if (type == WStype_TEXT && length == 3 && memcmp(text, "off", 3) == 0) digitalWrite(LED, lit = false);
}
void setup() {
  pinMode(LED, OUTPUT); pinMode(BUTTON, INPUT_PULLUP); WiFi.begin("NETWORK", "PASSWORD");
  hub.begin("192.168.1.5", 1919, "/c/lamp?history=1");  // with a code: "/c/lamp?history=1&code=4711"
  hub.onEvent(heard); hub.setReconnectInterval(5000); hub.enableHeartbeat(15000, 5000, 2);
}
void loop() {
  hub.loop();
  if (pressed == (digitalRead(BUTTON) == LOW)) return;
  if ((pressed = !pressed)) hub.sendTXT(lit ? "off" : "on");
  delay(20);  // a button bounces
}
