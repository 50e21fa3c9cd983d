# One image for both containers, built for the machine's architecture or for several (docs/image.md):
#
#     docker build -t REGISTRY/nodens:0.2.0 .
#     docker buildx build --platform linux/amd64,linux/arm64 -t REGISTRY/nodens:0.2.0 --push .

# Tags move. Name the bases by digest where a build must give the same image again: NAME@sha256:…
ARG NODE_IMAGE=node:24-trixie-slim
ARG DEBIAN_IMAGE=debian:trixie-slim

FROM ${NODE_IMAGE} AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends gcc libc6-dev \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY package.json package-lock.json .npmrc compile.mjs ./
RUN npm ci
COPY build.ts compile-code.ts tsconfig.json LICENSE NOTICE ./
COPY agent agent
COPY init init
COPY native native
RUN npm run build
RUN gcc -O2 -Wall -Wextra -Werror -o nodens-launch native/launcher/nodens-launch.c

# The files of Debian that the image needs, in /image. A whole Debian and Node's image would be 315 MB.
FROM ${DEBIAN_IMAGE} AS root
# nftables and iptables write the rules, iproute2 the addresses, and its ss resets connections;
# conntrack ends flows to kube-dns pods that are gone; setpriv (util-linux) starts the agent of the
# drop-in without root. libstdc++6 is node's; setcap comes from libcap2-bin, strip from binutils.
RUN apt-get update \
 && apt-get install -y --no-install-recommends \
      binutils conntrack iproute2 iptables libcap2-bin libstdc++6 nftables util-linux \
 && rm -rf /var/lib/apt/lists/*
COPY --from=build /usr/local/bin/node /usr/local/bin/node
COPY --from=build /src/package.json /src/dist/THIRD-PARTY-LICENSES.txt /src/
COPY deploy/image /src/image
# sleep is the cleanup overlay's.
RUN strip /usr/local/bin/node \
 && sh /src/image/collect.sh /image node ip ss nft conntrack setpriv setcap sleep \
 && mkdir -p /image/opt/nodens \
 && node /src/image/sbom.mjs /src/package.json /src/THIRD-PARTY-LICENSES.txt /image \
      > /image/opt/nodens/sbom.cdx.json

FROM scratch
# Given to the build by those who publish the image.
ARG REVISION=unknown
LABEL org.opencontainers.image.title="nodens" \
      org.opencontainers.image.description="Node-local DNS cache for Kubernetes" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="0.2.0" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=root /image/ /
COPY --from=build /src/dist /opt/nodens/dist
COPY --from=build /src/package.json /src/LICENSE /src/NOTICE /opt/nodens/
COPY --from=build /usr/local/LICENSE /opt/nodens/LICENSE-node
COPY --from=build /src/nodens-launch /usr/local/bin/nodens
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
# Here and not in a stage before: not every builder copies extended attributes between stages. Why `p` and not `ep`:
# native/launcher/nodens-launch.c. The image has no shell, so commands are lists.
RUN ["setcap", "cap_net_bind_service=p", "/usr/local/bin/nodens"]
# A look whether what was copied runs at all.
RUN ["nodens", "--version"]

# Root, because an existing node-local-dns DaemonSet names no user and its one container sets the
# network up; there the agent is a child without root. Our own manifests run the agent as 65532, and
# init as 0 with network capabilities only.
USER 0:0
WORKDIR /opt/nodens
# The launcher in every role: it execs under any bounding set and user, passes arguments on as they
# are (a stock manifest's `-localip …` as well as `agent …` and `init …`) and answers exec probes.
ENTRYPOINT ["/usr/local/bin/nodens"]
