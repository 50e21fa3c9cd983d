# One image for both containers, built with `docker build -t nodens:0.2.0 .`

FROM node:24-bookworm-slim AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends gcc libc6-dev \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY package.json package-lock.json .npmrc compile.mjs ./
RUN npm ci
COPY build.ts tsconfig.json LICENSE NOTICE ./
COPY agent agent
COPY init init
COPY native native
RUN npm run build
RUN gcc -O2 -Wall -Wextra -Werror -o nodens-launch native/launcher/nodens-launch.c

# Not the Node image: nodens needs its node, not its npm, yarn and corepack.
FROM debian:bookworm-slim
# nftables and iptables write the rules, iproute2 the addresses, and its ss resets connections;
# conntrack ends flows to kube-dns pods that are gone; setpriv (util-linux) starts the agent of the
# drop-in without root. libstdc++6 is node's; setcap comes from libcap2-bin.
RUN apt-get update \
 && apt-get install -y --no-install-recommends \
      conntrack iproute2 iptables libcap2-bin libstdc++6 nftables util-linux \
 && rm -rf /var/lib/apt/lists/*
COPY --from=build /usr/local/bin/node /usr/local/bin/node
COPY --from=build /src/dist /opt/nodens/dist
COPY --from=build /src/package.json /src/LICENSE /src/NOTICE /opt/nodens/
COPY --from=build /usr/local/LICENSE /opt/nodens/LICENSE-node
COPY --from=build /src/nodens-launch /usr/local/bin/nodens
# Here and not in the build stage: not every builder copies extended attributes between stages. Why
# `p` and not `ep`: native/launcher/nodens-launch.c. Then a look whether what was copied runs at all.
RUN setcap cap_net_bind_service=p /usr/local/bin/nodens && node --version

# Root, because an existing node-local-dns DaemonSet names no user and its one container sets the
# network up; there the agent is a child without root. Our own manifests run the agent as 65532, and
# init as 0 with network capabilities only.
USER 0:0
WORKDIR /opt/nodens
# The launcher in every role: it execs under any bounding set and user, passes arguments on as they
# are (a stock manifest's `-localip …` as well as `agent …` and `init …`) and answers exec probes.
ENTRYPOINT ["/usr/local/bin/nodens"]
