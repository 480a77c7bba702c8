#!/opt/dormice/bin/python -IS
"""Exit 0 if the service on this port of this container is ready; says why if it is not.

For health checks, which start it every few seconds: it imports nothing of Dormice.
"""

import http.client
import sys

connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=4)
try:
    connection.request("GET", "/readyz")
    answer = connection.getresponse()
    print(answer.read(300).decode(errors="replace"))
except OSError as error:
    sys.exit(str(error))
sys.exit(0 if answer.status == 200 else 1)
