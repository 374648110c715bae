/// The result of `Attach` and `Status`.
public struct DiskResult: Codable, Equatable, Sendable {
    public var disk: DiskReport

    public init(disk: DiskReport) {
        self.disk = disk
    }
}

/// The result of `Reserve`.
public struct ReservationsResult: Codable, Equatable, Sendable {
    public var reservations: ReservationStatus

    public init(reservations: ReservationStatus) {
        self.reservations = reservations
    }
}

/// The result of `List`.
public struct DiskList: Codable, Equatable, Sendable {
    public var disks: [DiskSummary]

    public init(disks: [DiskSummary]) {
        self.disks = disks
    }
}

/// The result of `org.varlink.service.GetInfo`.
public struct ServiceInfo: Codable, Equatable, Sendable {
    public var vendor: String
    public var product: String
    public var version: String
    public var url: String
    public var interfaces: [String]

    public init(vendor: String, product: String, version: String, url: String, interfaces: [String]) {
        self.vendor = vendor
        self.product = product
        self.version = version
        self.url = url
        self.interfaces = interfaces
    }
}

/// The parameters of `org.varlink.service.GetInterfaceDescription`.
public struct InterfaceDescriptionRequest: Codable, Equatable, Sendable {
    public var interface: String

    public init(interface: String) {
        self.interface = interface
    }
}

/// The result of `org.varlink.service.GetInterfaceDescription`.
public struct InterfaceDescriptionResult: Codable, Equatable, Sendable {
    public var description: String

    public init(description: String) {
        self.description = description
    }
}
