"""A dashboard: prints what the sensors publish. Run it in the folder trial: python3 dashboard.py [FILTER]"""

import sys

from device import Device

FILTER = sys.argv[1] if len(sys.argv) > 1 else "sensors/#"


class Dashboard(Device):
    def when_connected(self):
        self.subscribe(FILTER, qos=1)


def subscribed(_dashboard, _data, _id, reasons, _properties):
    print(f"refused: {FILTER}: {reasons[0]}" if reasons[0].is_failure else f"subscribed to {FILTER}", flush=True)


dashboard = Dashboard("dashboard")
dashboard.on_subscribe = subscribed
dashboard.on_message = lambda _client, _data, message: print(message.topic, message.payload.decode(), flush=True)
dashboard.run()
