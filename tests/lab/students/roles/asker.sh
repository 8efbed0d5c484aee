#!/bin/bash
# A client that is not netlab's: asker.sh BALANCER PORT. Three requests, each from a port of its own.
sleep 0.5 # the workers may need a moment
for seconds in 0.31 0.42 0.53; do
	echo "asking for $seconds"
	printf %s "$seconds" > "/dev/udp/$1/$2"
	sleep 0.05
done
sleep 3600
