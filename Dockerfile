# The image for those who build with a container engine. `make image` needs none; both put the same
# binary into an empty image, if the Go versions are the same.
FROM --platform=$BUILDPLATFORM golang:1.26.8 AS build
ARG TARGETARCH
ARG VERSION=dev
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY api api
COPY cmd cmd
COPY internal internal
RUN CGO_ENABLED=0 GOOS=linux GOARCH=$TARGETARCH \
    go build -trimpath -buildvcs=false -ldflags="-s -w -X main.version=$VERSION" -o /lintel ./cmd/lintel

FROM scratch
COPY --from=build /lintel /lintel
ENTRYPOINT ["/lintel"]
