# The server in a container of its own: no root, data in /data, nothing but what it runs on.
#   docker build -t ticketflow . && docker run -p 8000:8000 -v ticketflow:/data ticketflow
FROM node:24-slim AS build
WORKDIR /app
COPY package.json package-lock.json tsconfig.json tsconfig.build.json ./
# The image brings the Node that the package `node` would, and nothing else has anything to build.
RUN npm ci --ignore-scripts
COPY src src
COPY console console
COPY bin bin
RUN npm run build && npm prune --omit=dev --ignore-scripts

FROM node:24-slim
ENV NODE_ENV=production HOST=0.0.0.0 PORT=8000 TICKETFLOW_DATA_DIR=/data
WORKDIR /app
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY --from=build /app/console/dist console/dist
COPY package.json ./
COPY bin bin
RUN install -d -o node -g node -m 700 /data
USER node
VOLUME /data
EXPOSE 8000
# With TLS (TICKETFLOW_TLS_CERT) health is asked for from outside instead: --no-healthcheck.
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT}/readyz`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
# Not through npm, which would keep SIGTERM from the server.
CMD ["node", "--max-semi-space-size=16", "--no-memory-protection-keys", "bin/ticketflow.js", "serve"]
