"""Interfaces of DCE/RPC and their functions, by UUID and number (opnum).

From the IDL in the appendices of Microsoft's open specifications (named at each interface), of
C706 (epmapper, mgmt, NSI), and for interfaces that have no specification, from what is known of
them. Short names of interfaces, and the few of functions that differ from the IDL, are those
that Zeek's dce_rpc.log gives, since that is what analysts know. A "-" is a function without a
name ("not used on the wire").
"""

# UUID, name, functions in the order of their numbers.
_TABLE = (
    # C706: end point mapper, management, name service.
    ("e1af8308-5d1f-11c9-91a4-08002b14a0fa", "epmapper", """
        ept_insert ept_delete ept_lookup ept_map ept_lookup_handle_free ept_inq_object
        ept_mgmt_delete ept_map_auth ept_map_auth_async"""),
    ("afa8bd80-7d8a-11c9-bef4-08002b102989", "mgmt", """
        inq_if_ids inq_stats is_server_listening stop_server_listening inq_princ_name"""),
    ("d6d70ef0-0e3b-11cb-acc3-08002b1d29c3", "NsiS", "nsi_binding_export nsi_binding_unexport"),
    ("d3fbb514-0e3b-11cb-8fad-08002b1d29c3", "NsiC", """
        nsi_binding_lookup_begin nsi_binding_lookup_done nsi_binding_lookup_next
        nsi_mgmt_handle_set_exp_age"""),
    ("d6d70ef0-0e3b-11cb-acc3-08002b1d29c4", "NsiM", """
        nsi_group_delete nsi_group_mbr_add nsi_group_mbr_remove nsi_group_mbr_inq_begin
        nsi_group_mbr_inq_next nsi_group_mbr_inq_done nsi_profile_delete nsi_profile_elt_add
        nsi_profile_elt_remove nsi_profile_elt_inq_begin nsi_profile_elt_inq_next
        nsi_profile_elt_inq_done nsi_entry_object_inq_begin nsi_entry_object_inq_next
        nsi_entry_object_inq_done nsi_entry_expand_name nsi_mgmt_binding_unexport
        nsi_mgmt_entry_delete nsi_mgmt_entry_create nsi_mgmt_entry_inq_if_ids
        nsi_mgmt_inq_exp_age nsi_mgmt_inq_set_age"""),
    # MS-LSAD, MS-LSAT, and what of LSA stands in neither.
    ("12345778-1234-abcd-ef00-0123456789ab", "lsarpc", """
        LsarClose LsarDelete LsarEnumeratePrivileges LsarQuerySecurityObject
        LsarSetSecurityObject LsarChangePassword LsarOpenPolicy LsarQueryInformationPolicy
        LsarSetInformationPolicy LsarClearAuditLog LsarCreateAccount LsarEnumerateAccounts
        LsarCreateTrustedDomain LsarEnumerateTrustedDomains LsarLookupNames LsarLookupSids
        LsarCreateSecret LsarOpenAccount LsarEnumeratePrivilegesAccount
        LsarAddPrivilegesToAccount LsarRemovePrivilegesFromAccount LsarGetQuotasForAccount
        LsarSetQuotasForAccount LsarGetSystemAccessAccount LsarSetSystemAccessAccount
        LsarOpenTrustedDomain LsarQueryInfoTrustedDomain LsarSetInformationTrustedDomain
        LsarOpenSecret LsarSetSecret LsarQuerySecret LsarLookupPrivilegeValue
        LsarLookupPrivilegeName LsarLookupPrivilegeDisplayName LsarDeleteObject
        LsarEnumerateAccountsWithUserRight LsarEnumerateAccountRights LsarAddAccountRights
        LsarRemoveAccountRights LsarQueryTrustedDomainInfo LsarSetTrustedDomainInfo
        LsarDeleteTrustedDomain LsarStorePrivateData LsarRetrievePrivateData LsarOpenPolicy2
        LsarGetUserName LsarQueryInformationPolicy2 LsarSetInformationPolicy2
        LsarQueryTrustedDomainInfoByName LsarSetTrustedDomainInfoByName
        LsarEnumerateTrustedDomainsEx LsarCreateTrustedDomainEx LsarCloseTrustedDomainEx
        LsarQueryDomainInformationPolicy LsarSetDomainInformationPolicy
        LsarOpenTrustedDomainByName LsarTestCall LsarLookupSids2 LsarLookupNames2
        LsarCreateTrustedDomainEx2 CredrWrite CredrRead CredrEnumerate
        CredrWriteDomainCredentials CredrReadDomainCredentials CredrDelete CredrGetTargetInfo
        CredrProfileLoaded LsarLookupNames3 CredrGetSessionTypes LsarRegisterAuditEvent
        LsarGenAuditEvent LsarUnregisterAuditEvent LsarQueryForestTrustInformation
        LsarSetForestTrustInformation CredrRename LsarLookupSids3 LsarLookupNames4
        LsarOpenPolicySce LsarAdtRegisterSecurityEventSource
        LsarAdtUnregisterSecurityEventSource LsarAdtReportSecurityEvent
        CredrFindBestCredential LsarSetAuditPolicy LsarQueryAuditPolicy
        LsarEnumerateAuditPolicy LsarEnumerateAuditCategories LsarEnumerateAuditSubCategories
        LsarLookupAuditCategoryName LsarLookupAuditSubCategoryName LsarSetAuditSecurity
        LsarQueryAuditSecurity CredReadByTokenHandle CredrRestoreCredentials
        CredrBackupCredentials"""),
    # MS-SAMR.
    ("12345778-1234-abcd-ef00-0123456789ac", "samr", """
        SamrConnect SamrCloseHandle SamrSetSecurityObject SamrQuerySecurityObject
        SamrShutdownSamServer SamrLookupDomainInSamServer SamrEnumerateDomainsInSamServer
        SamrOpenDomain SamrQueryInformationDomain SamrSetInformationDomain
        SamrCreateGroupInDomain SamrEnumerateGroupsInDomain SamrCreateUserInDomain
        SamrEnumerateUsersInDomain SamrCreateAliasInDomain SamrEnumerateAliasesInDomain
        SamrGetAliasMembership SamrLookupNamesInDomain SamrLookupIdsInDomain SamrOpenGroup
        SamrQueryInformationGroup SamrSetInformationGroup SamrAddMemberToGroup SamrDeleteGroup
        SamrRemoveMemberFromGroup SamrGetMembersInGroup SamrSetMemberAttributesOfGroup
        SamrOpenAlias SamrQueryInformationAlias SamrSetInformationAlias SamrDeleteAlias
        SamrAddMemberToAlias SamrRemoveMemberFromAlias SamrGetMembersInAlias SamrOpenUser
        SamrDeleteUser SamrQueryInformationUser SamrSetInformationUser SamrChangePasswordUser
        SamrGetGroupsForUser SamrQueryDisplayInformation SamrGetDisplayEnumerationIndex
        SamrTestPrivateFunctionsDomain SamrTestPrivateFunctionsUser
        SamrGetUserDomainPasswordInformation SamrRemoveMemberFromForeignDomain
        SamrQueryInformationDomain2 SamrQueryInformationUser2 SamrQueryDisplayInformation2
        SamrGetDisplayEnumerationIndex2 SamrCreateUser2InDomain SamrQueryDisplayInformation3
        SamrAddMultipleMembersToAlias SamrRemoveMultipleMembersFromAlias
        SamrOemChangePasswordUser2 SamrUnicodeChangePasswordUser2
        SamrGetDomainPasswordInformation SamrConnect2 SamrSetInformationUser2
        SamrSetBootKeyInformation SamrGetBootKeyInformation SamrConnect3 SamrConnect4
        SamrUnicodeChangePasswordUser3 SamrConnect5 SamrRidToSid SamrSetDSRMPassword
        SamrValidatePassword SamrQueryLocalizableAccountsInDomain SamrPerformGenericOperation
        SamrSyncDSRMPasswordFromAccount SamrLookupNamesInDomain2 SamrEnumerateUsersInDomain2
        SamrUnicodeChangePasswordUser4 SamrValidateComputerAccountReuseAttempt
        SamrAccountIsDelegatedManagedServiceAccount"""),
    # MS-NRPC.
    ("12345678-1234-abcd-ef00-01234567cffb", "netlogon", """
        NetrLogonUasLogon NetrLogonUasLogoff NetrLogonSamLogon NetrLogonSamLogoff
        NetrServerReqChallenge NetrServerAuthenticate NetrServerPasswordSet NetrDatabaseDeltas
        NetrDatabaseSync NetrAccountDeltas NetrAccountSync NetrGetDCName NetrLogonControl
        NetrGetAnyDCName NetrLogonControl2 NetrServerAuthenticate2 NetrDatabaseSync2
        NetrDatabaseRedo NetrLogonControl2Ex NetrEnumerateTrustedDomains DsrGetDcName
        NetrLogonGetCapabilities NetrLogonSetServiceBits NetrLogonGetTrustRid
        NetrLogonComputeServerDigest NetrLogonComputeClientDigest NetrServerAuthenticate3
        DsrGetDcNameEx DsrGetSiteName NetrLogonGetDomainInfo NetrServerPasswordSet2
        NetrServerPasswordGet NetrLogonSendToSam DsrAddressToSiteNamesW DsrGetDcNameEx2
        NetrLogonGetTimeServiceParentDomain NetrEnumerateTrustedDomainsEx
        DsrAddressToSiteNamesExW DsrGetDcSiteCoverageW NetrLogonSamLogonEx
        DsrEnumerateDomainTrusts DsrDeregisterDnsHostRecords NetrServerTrustPasswordsGet
        DsrGetForestTrustInformation NetrGetForestTrustInformation NetrLogonSamLogonWithFlags
        NetrServerGetTrustInfo unused DsrUpdateReadOnlyServerDnsRecords
        NetrChainSetClientAttributes - - - - - - - - - NetrServerAuthenticateKerberos"""),
    # MS-SRVS, and MS-DFSNM's older functions.
    ("4b324fc8-1670-01d3-1278-5a47bf6ee188", "srvsvc", """
        NetrCharDevEnum NetrCharDevGetInfo NetrCharDevControl NetrCharDevQEnum
        NetrCharDevQGetInfo NetrCharDevQSetInfo NetrCharDevQPurge NetrCharDevQPurgeSelf
        NetrConnectionEnum NetrFileEnum NetrFileGetInfo NetrFileClose NetrSessionEnum
        NetrSessionDel NetrShareAdd NetrShareEnum NetrShareGetInfo NetrShareSetInfo
        NetrShareDel NetrShareDelSticky NetrShareCheck NetrServerGetInfo NetrServerSetInfo
        NetrServerDiskEnum NetrServerStatisticsGet NetrServerTransportAdd
        NetrServerTransportEnum NetrServerTransportDel NetrRemoteTOD NetrServerSetServiceBits
        NetprPathType NetprPathCanonicalize NetprPathCompare NetprNameValidate
        NetprNameCanonicalize NetprNameCompare NetrShareEnumSticky NetrShareDelStart
        NetrShareDelCommit NetrpGetFileSecurity NetrpSetFileSecurity NetrServerTransportAddEx
        NetrServerSetServiceBitsEx NetrDfsGetVersion NetrDfsCreateLocalPartition
        NetrDfsDeleteLocalPartition NetrDfsSetLocalVolumeState NetrDfsSetServerInfo
        NetrDfsCreateExitPoint NetrDfsDeleteExitPoint NetrDfsModifyPrefix
        NetrDfsFixLocalVolume NetrDfsManagerReportSiteInfo NetrServerTransportDelEx
        NetrServerAliasAdd NetrServerAliasEnum NetrServerAliasDel NetrShareDelEx"""),
    # MS-WKST.
    ("6bffd098-a112-3610-9833-46c3f87e345a", "wkssvc", """
        NetrWkstaGetInfo NetrWkstaSetInfo NetrWkstaUserEnum NetrWkstaUserGetInfo
        NetrWkstaUserSetInfo NetrWkstaTransportEnum NetrWkstaTransportAdd
        NetrWkstaTransportDel NetrUseAdd NetrUseGetInfo NetrUseDel NetrUseEnum
        NetrMessageBufferSend NetrWorkstationStatisticsGet NetrLogonDomainNameAdd
        NetrLogonDomainNameDel NetrJoinDomain NetrUnjoinDomain NetrValidateName
        NetrRenameMachineInDomain NetrGetJoinInformation NetrGetJoinableOUs NetrJoinDomain2
        NetrUnjoinDomain2 NetrRenameMachineInDomain2 NetrValidateName2 NetrGetJoinableOUs2
        NetrAddAlternateComputerName NetrRemoveAlternateComputerName
        NetrSetPrimaryComputerName NetrEnumerateComputerNames NetrWorkstationResetDfsCache"""),
    # MS-SCMR.
    ("367abb81-9844-35f1-ad32-98f038001003", "svcctl", """
        CloseServiceHandle ControlService DeleteService LockServiceDatabase
        QueryServiceObjectSecurity SetServiceObjectSecurity QueryServiceStatus
        SetServiceStatus UnlockServiceDatabase NotifyBootConfigStatus ScSetServiceBitsW
        ChangeServiceConfigW CreateServiceW EnumDependentServicesW EnumServicesStatusW
        OpenSCManagerW OpenServiceW QueryServiceConfigW QueryServiceLockStatusW StartServiceW
        GetServiceDisplayNameW GetServiceKeyNameW ScSetServiceBitsA ChangeServiceConfigA
        CreateServiceA EnumDependentServicesA EnumServicesStatusA OpenSCManagerA OpenServiceA
        QueryServiceConfigA QueryServiceLockStatusA StartServiceA GetServiceDisplayNameA
        GetServiceKeyNameA ScGetCurrentGroupStateW EnumServiceGroupW ChangeServiceConfig2A
        ChangeServiceConfig2W QueryServiceConfig2A QueryServiceConfig2W QueryServiceStatusEx
        EnumServicesStatusExA EnumServicesStatusExW ScSendTSMessage CreateServiceWOW64A
        CreateServiceWOW64W ScQueryServiceTagInfo NotifyServiceStatusChange GetNotifyResult
        CloseNotifyHandle ControlServiceExA ControlServiceExW ScSendPnPMessage
        ScValidatePnPService ScOpenServiceStatusHandle - QueryServiceConfigEx - - -
        CreateWowService - - - OpenSCManager2"""),
    # MS-TSCH: at, scheduler's account, tasks.
    ("1ff70682-0a51-30e8-076d-740be8cee98b", "atsvc",
     "NetrJobAdd NetrJobDel NetrJobEnum NetrJobGetInfo"),
    ("378e52b0-c0a9-11cf-822d-00aa0051e40f", "sasec", """
        SASetAccountInformation SASetNSAccountInformation SAGetNSAccountInformation
        SAGetAccountInformation"""),
    ("86d35949-83c9-4044-b424-db363231fd0c", "ITaskSchedulerService", """
        SchRpcHighestVersion SchRpcRegisterTask SchRpcRetrieveTask SchRpcCreateFolder
        SchRpcSetSecurity SchRpcGetSecurity SchRpcEnumFolder SchRpcEnumTasks
        SchRpcEnumInstances SchRpcGetInstanceInfo SchRpcStopInstance SchRpcStop SchRpcRun
        SchRpcDelete SchRpcRename SchRpcScheduledRuntimes SchRpcGetLastRunInfo
        SchRpcGetTaskInfo SchRpcGetNumberOfMissedRuns SchRpcEnableTask"""),
    ("0a74ef1c-41a4-4e06-83ae-dc74fb1cdd53", "idletask", """
        ItSrvRegisterIdleTask ItSrvUnregisterIdleTask ItSrvProcessIdleTasks
        ItSrvSetDetectionParameters"""),
    # MS-DRSR.
    ("e3514235-4b06-11d1-ab04-00c04fc2dcd2", "drsuapi", """
        DRSBind DRSUnbind DRSReplicaSync DRSGetNCChanges DRSUpdateRefs DRSReplicaAdd
        DRSReplicaDel DRSReplicaModify DRSVerifyNames DRSGetMemberships DRSInterDomainMove
        DRSGetNT4ChangeLog DRSCrackNames DRSWriteSPN DRSRemoveDsServer DRSRemoveDsDomain
        DRSDomainControllerInfo DRSAddEntry DRSExecuteKCC DRSGetReplInfo DRSAddSidHistory
        DRSGetMemberships2 DRSReplicaVerifyObjects DRSGetObjectExistence DRSQuerySitesByCost
        DRSInitDemotion DRSReplicaDemotion DRSFinishDemotion DRSAddCloneDC DRSWriteNgcKey
        DRSReadNgcKey"""),
    ("7c44d7d4-31d5-424c-bd5e-2b3e1f323d22", "dsaop",
     "DSAPrepareScript DSAExecuteScript"),
    # MS-RRP.
    ("338cd001-2244-31f1-aaaa-900038001003", "winreg", """
        OpenClassesRoot OpenCurrentUser OpenLocalMachine OpenPerformanceData OpenUsers
        BaseRegCloseKey BaseRegCreateKey BaseRegDeleteKey BaseRegDeleteValue BaseRegEnumKey
        BaseRegEnumValue BaseRegFlushKey BaseRegGetKeySecurity BaseRegLoadKey
        BaseRegNotifyChangeKeyValue BaseRegOpenKey BaseRegQueryInfoKey BaseRegQueryValue
        BaseRegReplaceKey BaseRegRestoreKey BaseRegSaveKey BaseRegSetKeySecurity
        BaseRegSetValue BaseRegUnLoadKey BaseInitiateSystemShutdown BaseAbortSystemShutdown
        BaseRegGetVersion OpenCurrentConfig OpenDynData BaseRegQueryMultipleValues
        BaseInitiateSystemShutdownEx BaseRegSaveKeyEx OpenPerformanceText
        OpenPerformanceNlsText BaseRegQueryMultipleValues2 BaseRegDeleteKeyEx"""),
    # MS-RPRN.
    ("12345678-1234-abcd-ef00-0123456789ab", "spoolss", """
        RpcEnumPrinters RpcOpenPrinter RpcSetJob RpcGetJob RpcEnumJobs RpcAddPrinter
        RpcDeletePrinter RpcSetPrinter RpcGetPrinter RpcAddPrinterDriver RpcEnumPrinterDrivers
        RpcGetPrinterDriver RpcGetPrinterDriverDirectory RpcDeletePrinterDriver
        RpcAddPrintProcessor RpcEnumPrintProcessors RpcGetPrintProcessorDirectory
        RpcStartDocPrinter RpcStartPagePrinter RpcWritePrinter RpcEndPagePrinter
        RpcAbortPrinter RpcReadPrinter RpcEndDocPrinter RpcAddJob RpcScheduleJob
        RpcGetPrinterData RpcSetPrinterData RpcWaitForPrinterChange RpcClosePrinter RpcAddForm
        RpcDeleteForm RpcGetForm RpcSetForm RpcEnumForms RpcEnumPorts RpcEnumMonitors
        RpcAddPort RpcConfigurePort RpcDeletePort RpcCreatePrinterIC
        RpcPlayGdiScriptOnPrinterIC RpcDeletePrinterIC RpcAddPrinterConnection
        RpcDeletePrinterConnection RpcPrinterMessageBox RpcAddMonitor RpcDeleteMonitor
        RpcDeletePrintProcessor RpcAddPrintProvidor RpcDeletePrintProvidor
        RpcEnumPrintProcessorDatatypes RpcResetPrinter RpcGetPrinterDriver2
        RpcClientFindFirstPrinterChangeNotification RpcFindNextPrinterChangeNotification
        RpcFindClosePrinterChangeNotification RpcRouterFindFirstPrinterChangeNotificationOld
        RpcReplyOpenPrinter RpcRouterReplyPrinter RpcReplyClosePrinter RpcAddPortEx
        RpcRemoteFindFirstPrinterChangeNotification RpcSpoolerInit RpcResetPrinterEx
        RpcRemoteFindFirstPrinterChangeNotificationEx RpcRouterReplyPrinterEx
        RpcRouterRefreshPrinterChangeNotification RpcSetAllocFailCount RpcSplOpenPrinter
        RpcAddPrinterEx RpcSetPort RpcEnumPrinterData RpcDeletePrinterData RpcClusterSplOpen
        RpcClusterSplClose RpcClusterSplIsAlive RpcSetPrinterDataEx RpcGetPrinterDataEx
        RpcEnumPrinterDataEx RpcEnumPrinterKey RpcDeletePrinterDataEx RpcDeletePrinterKey
        RpcSeekPrinter RpcDeletePrinterDriverEx RpcAddPerMachineConnection
        RpcDeletePerMachineConnection RpcEnumPerMachineConnections RpcXcvData
        RpcAddPrinterDriverEx RpcSplOpenPrinter RpcGetSpoolFileInfo RpcCommitSpoolData
        RpcCloseSpoolFileHandle RpcFlushPrinter RpcSendRecvBidiData RpcAddDriverCatalog
        RpcAddPrinterConnection2 RpcDeletePrinterConnection2
        RpcInstallPrinterDriverFromPackage RpcUploadPrinterDriverPackage
        RpcGetCorePrinterDrivers RpcCorePrinterDriverInstalled RpcGetPrinterDriverPackagePath
        RpcReportJobProcessingProgress - - - - - RpcGetJobNamedPropertyValue
        RpcSetJobNamedProperty RpcDeleteJobNamedProperty RpcEnumJobNamedProperties - -
        RpcLogJobInfoForBranchOffice"""),
    # MS-PAR, MS-PAN.
    ("76f03f96-cdfd-44fc-a22c-64950a001209", "IRemoteWinspool", """
        RpcAsyncOpenPrinter RpcAsyncAddPrinter RpcAsyncSetJob RpcAsyncGetJob RpcAsyncEnumJobs
        RpcAsyncAddJob RpcAsyncScheduleJob RpcAsyncDeletePrinter RpcAsyncSetPrinter
        RpcAsyncGetPrinter RpcAsyncStartDocPrinter RpcAsyncStartPagePrinter
        RpcAsyncWritePrinter RpcAsyncEndPagePrinter RpcAsyncEndDocPrinter
        RpcAsyncAbortPrinter RpcAsyncGetPrinterData RpcAsyncGetPrinterDataEx
        RpcAsyncSetPrinterData RpcAsyncSetPrinterDataEx RpcAsyncClosePrinter RpcAsyncAddForm
        RpcAsyncDeleteForm RpcAsyncGetForm RpcAsyncSetForm RpcAsyncEnumForms
        RpcAsyncGetPrinterDriver RpcAsyncEnumPrinterData RpcAsyncEnumPrinterDataEx
        RpcAsyncEnumPrinterKey RpcAsyncDeletePrinterData RpcAsyncDeletePrinterDataEx
        RpcAsyncDeletePrinterKey RpcAsyncXcvData RpcAsyncSendRecvBidiData
        RpcAsyncCreatePrinterIC RpcAsyncPlayGdiScriptOnPrinterIC RpcAsyncDeletePrinterIC
        RpcAsyncEnumPrinters RpcAsyncAddPrinterDriver RpcAsyncEnumPrinterDrivers
        RpcAsyncGetPrinterDriverDirectory RpcAsyncDeletePrinterDriver
        RpcAsyncDeletePrinterDriverEx RpcAsyncAddPrintProcessor RpcAsyncEnumPrintProcessors
        RpcAsyncGetPrintProcessorDirectory RpcAsyncEnumPorts RpcAsyncEnumMonitors
        RpcAsyncAddPort RpcAsyncSetPort RpcAsyncAddMonitor RpcAsyncDeleteMonitor
        RpcAsyncDeletePrintProcessor RpcAsyncEnumPrintProcessorDatatypes
        RpcAsyncAddPerMachineConnection RpcAsyncDeletePerMachineConnection
        RpcAsyncEnumPerMachineConnections RpcSyncRegisterForRemoteNotifications
        RpcSyncUnRegisterForRemoteNotifications RpcSyncRefreshRemoteNotifications
        RpcAsyncGetRemoteNotifications RpcAsyncInstallPrinterDriverFromPackage
        RpcAsyncUploadPrinterDriverPackage RpcAsyncGetCorePrinterDrivers
        RpcAsyncCorePrinterDriverInstalled RpcAsyncGetPrinterDriverPackagePath
        RpcAsyncDeletePrinterDriverPackage RpcAsyncReadPrinter RpcAsyncResetPrinter
        RpcAsyncGetJobNamedPropertyValue RpcAsyncSetJobNamedProperty
        RpcAsyncDeleteJobNamedProperty RpcAsyncEnumJobNamedProperties
        RpcAsyncLogJobInfoForBranchOffice"""),
    ("ae33069b-a2a8-46ee-a235-ddfd339be281", "IRPCRemoteObject",
     "IRPCRemoteObject_Create IRPCRemoteObject_Delete"),
    ("0b6edbfa-4a24-4fc6-8a23-942b1eca65d1", "IRPCAsyncNotify", """
        IRPCAsyncNotify_RegisterClient IRPCAsyncNotify_UnregisterClient -
        IRPCAsyncNotify_GetNewChannel IRPCAsyncNotify_GetNotificationSendResponse
        IRPCAsyncNotify_GetNotification IRPCAsyncNotify_CloseChannel"""),
    # MS-EVEN, MS-EVEN6.
    ("82273fdc-e32a-18c3-3f78-827929dc23ea", "eventlog", """
        ElfrClearELFW ElfrBackupELFW ElfrCloseEL ElfrDeregisterEventSource ElfrNumberOfRecords
        ElfrOldestRecord ElfrChangeNotify ElfrOpenELW ElfrRegisterEventSourceW ElfrOpenBELW
        ElfrReadELW ElfrReportEventW ElfrClearELFA ElfrBackupELFA ElfrOpenELA
        ElfrRegisterEventSourceA ElfrOpenBELA ElfrReadELA ElfrReportEventA
        ElfrRegisterClusterSvc ElfrDeregisterClusterSvc ElfrWriteClusterEvents
        ElfrGetLogInformation ElfrFlushEL ElfrReportEventAndSourceW"""),
    ("f6beaff7-1e19-4fbb-9f8f-b89e2018337c", "IEventService", """
        EvtRpcRegisterRemoteSubscription EvtRpcRemoteSubscriptionNextAsync
        EvtRpcRemoteSubscriptionNext EvtRpcRemoteSubscriptionWaitAsync
        EvtRpcRegisterControllableOperation EvtRpcRegisterLogQuery EvtRpcClearLog
        EvtRpcExportLog EvtRpcLocalizeExportLog EvtRpcMessageRender EvtRpcMessageRenderDefault
        EvtRpcQueryNext EvtRpcQuerySeek EvtRpcClose EvtRpcCancel EvtRpcAssertConfig
        EvtRpcRetractConfig EvtRpcOpenLogHandle EvtRpcGetLogFileInfo EvtRpcGetChannelList
        EvtRpcGetChannelConfig EvtRpcPutChannelConfig EvtRpcGetPublisherList
        EvtRpcGetPublisherListForChannel EvtRpcGetPublisherMetadata
        EvtRpcGetPublisherResourceMetadata EvtRpcGetEventMetadataEnum
        EvtRpcGetNextEventMetadata EvtRpcGetClassicLogDisplayName"""),
    # MS-RSP.
    ("894de0c0-0d55-11d3-a322-00c04fa321a1", "InitShutdown",
     "BaseInitiateShutdown BaseAbortShutdown BaseInitiateShutdownEx"),
    ("d95afe70-a6d5-4259-822e-2c84da1ddb0d", "WindowsShutdown",
     "WsdrInitiateShutdown WsdrAbortShutdown"),
    # MS-DSSP.
    ("3919286a-b10c-11d0-9ba8-00c04fd92ef5", "dssetup", """
        DsRolerGetPrimaryDomainInformation DsRolerDnsNameToFlatName DsRolerDcAsDc
        DsRolerDcAsReplica DsRolerDemoteDc DsRolerGetDcOperationProgress
        DsRolerGetDcOperationResults DsRolerCancel DsRolerServerSaveStateForUpgrade
        DsRolerUpgradeDownlevelServer DsRolerAbortDownlevelServerUpgrade"""),
    # MS-DFSNM.
    ("4fc742e0-4a10-11cf-8273-00aa004ae673", "netdfs", """
        NetrDfsManagerGetVersion NetrDfsAdd NetrDfsRemove NetrDfsSetInfo NetrDfsGetInfo
        NetrDfsEnum NetrDfsRename NetrDfsMove NetrDfsManagerGetConfigInfo
        NetrDfsManagerSendSiteInfo NetrDfsAddFtRoot NetrDfsRemoveFtRoot NetrDfsAddStdRoot
        NetrDfsRemoveStdRoot NetrDfsManagerInitialize NetrDfsAddStdRootForced
        NetrDfsGetDcAddress NetrDfsSetDcAddress NetrDfsFlushFtTable NetrDfsAdd2
        NetrDfsRemove2 NetrDfsEnumEx NetrDfsSetInfo2"""),
    # MS-EFSR: over its own pipe, and over those of LSA.
    *((uuid, "efsrpc", """
        EfsRpcOpenFileRaw EfsRpcReadFileRaw EfsRpcWriteFileRaw EfsRpcCloseRaw
        EfsRpcEncryptFileSrv EfsRpcDecryptFileSrv EfsRpcQueryUsersOnFile
        EfsRpcQueryRecoveryAgents EfsRpcRemoveUsersFromFile EfsRpcAddUsersToFile - -
        EfsRpcNotSupported EfsRpcFileKeyInfo EfsRpcDuplicateEncryptionInfoFile -
        EfsRpcAddUsersToFileEx EfsRpcFileKeyInfoEx EfsRpcGenerateEfsStream
        EfsRpcGetEncryptedFileMetadata EfsRpcSetEncryptedFileMetadata EfsRpcFlushEfsCache
        EfsRpcEncryptFileExSrv EfsRpcQueryProtectors""") for uuid in (
            "df1941c5-fe89-4e79-bf10-463657acf44d", "c681d488-d850-11d0-8c52-00c04fd90f7e")),
    # MS-FSRVP.
    ("a8e0653c-2744-4389-a61d-7373df8b2292", "FileServerVssAgent", """
        GetSupportedVersion SetContext StartShadowCopySet AddToShadowCopySet
        CommitShadowCopySet ExposeShadowCopySet RecoveryCompleteShadowCopySet
        AbortShadowCopySet IsPathSupported IsPathShadowCopied GetShareMapping
        DeleteShareMapping PrepareShadowCopySet"""),
    # MS-DCOM.
    ("4d9f4ab8-7d1c-11cf-861e-0020af6e7c57", "IActivation", "RemoteActivation"),
    ("99fcfec4-5260-101b-bbcb-00aa0021347a", "IObjectExporter",
     "ResolveOxid SimplePing ComplexPing ServerAlive ResolveOxid2 ServerAlive2"),
    ("000001a0-0000-0000-c000-000000000046", "IRemoteSCMActivator", """
        QueryInterfaceIRemoteSCMActivator AddRefIRemoteISCMActivator
        ReleaseIRemoteISCMActivator RemoteGetClassObject RemoteCreateInstance"""),
    ("00000131-0000-0000-c000-000000000046", "IRemUnknown",
     "QueryInterface AddRef Release RemQueryInterface RemAddRef RemRelease"),
    ("00000143-0000-0000-c000-000000000046", "IRemUnknown2", """
        QueryInterface AddRef Release RemQueryInterface RemAddRef RemRelease
        RemQueryInterface2"""),
    # MS-OAUT.
    ("00020400-0000-0000-c000-000000000046", "IDispatch", """
        QueryInterface AddRef Release GetTypeInfoCount GetTypeInfo GetIDsOfNames Invoke"""),
    # MS-WMI.
    ("9556dc99-828c-11cf-a37e-00aa003240c7", "IWbemServices", """
        - - - OpenNamespace CancelAsyncCall QueryObjectSink GetObject GetObjectAsync PutClass
        PutClassAsync DeleteClass DeleteClassAsync CreateClassEnum CreateClassEnumAsync
        PutInstance PutInstanceAsync DeleteClass DeleteClassAsync CreateInstanceEnum
        CreateInstanceEnumAsync ExecQuery ExecQueryAsync ExecNotificationQuery
        ExecNotificationQueryAsync ExecMethod ExecMethodAsync"""),
    ("f309ad18-d86a-11d0-a075-00c04fb68820", "IWbemLevel1Login",
     "- - - EstablishPosition RequestChallenge WBEMLogin NTLMLogin"),
    ("d4781cd6-e5d3-44df-ad94-930efe48a887", "IWbemLoginClientID", "- - - SetClientInfo"),
    ("9f6c78ef-fce5-42fa-abea-3e7df91921dc", "IWbemLoginClientIDEx", "- - - SetClientInfoEx"),
    ("027947e1-d731-11ce-a357-000000000001", "IEnumWbemClassObject interface",
     "- - - Reset Next NextAsync Clone Skip"),
    ("7c857801-7381-11cf-884d-00aa004b2e24", "IWbemObjectSink interface",
     "- - - Indicate SetStatus"),
    ("44aca675-e8fc-11d0-a07c-00c04fb68820", "IWbemCallResult interface",
     "- - - GetResultObject GetResultString GetResultServices GetCallStatus"),
    ("1c1c45ee-4395-11d2-b60b-00104b703efd", "IWbemFetchSmartEnum interface",
     "- - - GetSmartEnum"),
    ("423ec01e-2e35-11d2-b604-00104b703efd", "IWbemWCOSmartEnum interface", "- - - Next"),
    ("c49e32c7-bc8b-11d2-85d4-00105a1f8304", "IWbemBackupRestore interface",
     "- - - Backup Restore"),
    ("c49e32c6-bc8b-11d2-85d4-00105a1f8304", "IWbemBackupRestoreEx interface",
     "- - - Backup Restore Pause Resume"),
    ("a359dec5-e813-4834-8a2a-ba7f1d777d76", "IWbemBackupRestoreEx interface",
     "- - - Backup Restore Pause Resume"),
    ("f1e9c5b2-f59b-11d2-b362-00105a1f8177", "IWbemRemoteRefresher interface",
     "- - - RemoteRefresh StopRefreshing Opnum5NotUsedOnWire"),
    ("2c9273e0-1dc3-11d3-b364-00105a1f8177", "IWbemRefreshingServices interface", """
        - - - AddObjectToRefresher AddObjectToRefresherByTemplate AddEnumToRefresher
        RemoveObjectFromRefresher GetRemoteRefresher ReconnectRemoteRefresher"""),
    ("541679ab-2e5f-11d3-b34e-00104bcc4b4a", "IWbemLoginHelper interface", "- - - SetEvent"),
    ("44aca674-e8fc-11d0-a07c-00c04fb68820", "IWbemContext interface", ""),
    ("674b6698-ee92-11d0-ad71-00c04fd8fdff", "IWbemContext unmarshaler", ""),
    ("dc12a681-737f-11cf-884d-00aa004b2e24", "IWbemClassObject interface", ""),
    ("9a653086-174f-11d2-b5f9-00104b703efd", "IWbemClassObject interface", ""),
    ("4590f812-1d3a-11d0-891f-00aa004b2e24", "IWbemClassObject unmarshaler", ""),
    # MS-BRWSA.
    ("6bffd098-a112-3610-9833-012892020162", "browser", """
        BrowserrServerEnum BrowserrDebugCall BrowserrQueryOtherDomains
        BrowserrResetNetlogonState BrowserrDebugTrace BrowserrQueryStatistics
        BrowserrResetStatistics NetrBrowserStatisticsClear NetrBrowserStatisticsGet
        BrowserrSetNetlogonState BrowserrQueryEmulatedDomains BrowserrServerEnumEx"""),
    # MS-DNSP.
    ("50abc2a4-574d-40b3-9d66-ee4fd5fba076", "dnsserver", """
        DnssrvOperation DnssrvQuery DnssrvComplexOperation DnssrvEnumRecords
        DnssrvUpdateRecord DnssrvOperation2 DnssrvQuery2 DnssrvComplexOperation2
        DnssrvEnumRecords2 DnssrvUpdateRecord2 DnssrvUpdateRecord3 DnssrvEnumRecords3
        DnssrvOperation3 DnssrvQuery3 DnssrvComplexOperation3 DnssrvOperation4 DnssrvQuery4
        DnssrvUpdateRecord4 DnssrvEnumRecords4"""),
    # MS-FRS1, MS-FRS2.
    ("f5cc59b4-4264-101a-8c59-08002b2f8426", "FrsRpc", """
        FrsRpcSendCommPkt FrsRpcVerifyPromotionParent FrsRpcStartPromotionParent FrsNOP
        FrsBackupComplete FrsBackupComplete FrsBackupComplete FrsBackupComplete
        FrsBackupComplete FrsBackupComplete FrsRpcVerifyPromotionParentEx"""),
    ("897e2e5f-93f3-4376-9c9c-fd2277495c27", "FrsTransport", """
        CheckConnectivity EstablishConnection EstablishSession RequestUpdates
        RequestVersionVector AsyncPoll RequestRecords UpdateCancel RawGetFileData
        RdcGetSignatures RdcPushSourceNeeds RdcGetFileData RdcClose
        InitializeFileTransferAsync - InitializeFileDataTransfer RawGetFileDataAsync
        RdcGetFileDataAsync RdcFileDataTransferKeepAlive"""),
    # MS-BKRP.
    ("3dde7c30-165d-11d1-ab8f-00805f14db40", "BackupKey", "bkrp_BackupKey"),
    # MS-ICPR.
    ("91ae6020-9e3c-11cf-8d7c-00aa00c091be", "ICertPassage", "CertServerRequest"),
    # MS-WCCE, MS-CSRA.
    ("d99e6e70-fc88-11d0-b498-00a0c90312f3", "ICertRequestD",
     "- - - Request GetCACert Ping"),
    ("5422fd3a-d4b8-4cef-a12e-e87d4ca22e90", "ICertRequestD2",
     "- - - Request GetCACert Ping Request2 GetCAProperty GetCAPropertyInfo Ping2"),
    ("d99e6e71-fc88-11d0-b498-00a0c90312f3", "ICertAdminD", """
        - - - SetExtension SetAttributes ResubmitRequest DenyRequest IsValidCertificate
        PublishCRL GetCRL RevokeCertificate EnumViewColumn GetViewDefaultColumnSet
        EnumAttributesOrExtensions OpenView EnumView CloseView ServerControl Ping
        GetServerState BackupPrepare BackupEnd BackupGetAttachmentInformation
        BackupGetBackupLogs BackupOpenFile BackupReadFile BackupCloseFile
        BackupTruncateLogs ImportCertificate BackupGetDynamicFiles
        RestoreGetDatabaseLocations"""),
    # MS-TSTS.
    ("5ca4a760-ebb1-11cf-8611-00a0245420ed", "winstation_rpc", """
        RpcWinStationOpenServer RpcWinStationCloseServer RpcIcaServerPing
        RpcWinStationEnumerate RpcWinStationRename RpcWinStationQueryInformation
        RpcWinStationSetInformation RpcWinStationSendMessage RpcLogonIdFromWinStationName
        RpcWinStationNameFromLogonId RpcWinStationConnect RpcWinStationVirtualOpen
        RpcWinStationBeepOpen RpcWinStationDisconnect RpcWinStationReset
        RpcWinStationShutdownSystem RpcWinStationWaitSystemEvent RpcWinStationShadow
        RpcWinStationShadowTargetSetup RpcWinStationShadowTarget RpcWinStationGenerateLicense
        RpcWinStationInstallLicense RpcWinStationEnumerateLicenses
        RpcWinStationActivateLicense RpcWinStationRemoveLicense RpcWinStationQueryLicense
        RpcWinStationSetPoolCount RpcWinStationQueryUpdateRequired RpcWinStationCallback
        RpcWinStationGetApplicationInfo RpcWinStationReadRegistry RpcWinStationWaitForConnect
        RpcWinStationNotifyLogon RpcWinStationNotifyLogoff RpcWinStationEnumerateProcesses
        RpcWinStationAnnoyancePopup RpcWinStationEnumerateProcesses
        RpcWinStationTerminateProcess RpcServerNWLogonSetAdmin RpcServerNWLogonQueryAdmin
        RpcWinStationNtsdDebug RpcWinStationBreakPoint RpcWinStationCheckForApplicationName
        RpcWinStationGetAllProcesses RpcWinStationGetProcessSid
        RpcWinStationGetTermSrvCountersValue RpcWinStationReInitializeSecurity
        RpcWinStationBroadcastSystemMessage RpcWinStationSendWindowMessage
        RpcWinStationNotifyNewSession RpcServerGetInternetConnectorStatus
        RpcServerSetInternetConnectorStatus RpcServerQueryInetConnectorInformation
        RpcWinStationGetLanAdapterName RpcWinStationUpdateUserConfig
        RpcWinStationQueryLogonCredentials RpcWinStationRegisterConsoleNotification
        RpcWinStationUnRegisterConsoleNotification RpcWinStationUpdateSettings
        RpcWinStationShadowStop RpcWinStationCloseServerEx RpcWinStationIsHelpAssistantSession
        RpcWinStationGetMachinePolicy RpcWinStationUpdateClientCachedCredentials
        RpcWinStationFUSCanRemoteUserDisconnect RpcWinStationCheckLoopBack RpcConnectCallback
        RpcWinStationNotifyDisconnectPipe RpcWinStationSessionInitialized
        RpcRemoteAssistancePrepareSystemRestore RpcWinStationGetAllProcesses_NT6
        RpcWinStationRegisterNotificationEvent RpcWinStationUnRegisterNotificationEvent
        RpcWinStationAutoReconnect RpcWinStationCheckAccess
        RpcWinStationOpenSessionDirectory"""),
    ("484809d6-4239-471b-b5bc-61df8c23ac48", "TermSrvSession", """
        RpcOpenSession RpcCloseSession RpcConnect RpcDisconnect RpcLogoff RpcGetUserName
        RpcGetTerminalName RpcGetState RpcIsSessionDesktopLocked RpcShowMessageBox
        RpcGetTimes RpcGetSessionCounters RpcGetSessionInformation - -
        RpcGetLoggedOnCount RpcGetSessionType RpcGetSessionInformationEx"""),
    ("88143fd0-c28d-4b2b-8fef-8d882f6a9390", "TermSrvEnumeration", """
        RpcOpenEnum RpcCloseEnum RpcFilterByState RpcFilterByCallersName RpcEnumAddFilter
        RpcGetEnumResult RpcFilterBySessionType - RpcGetSessionIds RpcGetEnumResultEx
        RpcGetAllSessions RpcGetAllSessionsEx"""),
    ("bde95fdf-eee0-45de-9e12-e5a61cd0d4fe", "RCMPublic", """
        RpcGetClientData RpcGetConfigData RpcGetProtocolStatus RpcGetLastInputTime
        RpcGetRemoteAddress RpcShadow RpcShadowTarget RpcShadowStop RpcGetAllListeners
        RpcGetSessionProtocolLastInputTime RpcGetUserCertificates RpcQuerySessionData"""),
    ("497d95a6-2d27-4bf5-9bbd-a6046957133c", "RCMListener", """
        RpcOpenListener RpcCloseListener RpcStopListener RpcStartListener RpcIsListening"""),
    ("11899a43-2b68-4a76-92e3-a3d6ad8c26ce", "TermSrvNotification", """
        RpcWaitForSessionState RpcRegisterAsyncNotification RpcWaitAsyncNotification
        RpcUnRegisterAsyncNotification"""),
    ("44e265dd-7daf-42cd-8560-3cdb6e7a2729", "TsProxyRpcInterface", """
        - TsProxyCreateTunnel TsProxyAuthorizeTunnel TsProxyMakeTunnelCall
        TsProxyCreateChannel - TsProxyCloseChannel TsProxyCloseTunnel
        TsProxySetupReceivePipe TsProxySendToServer"""),
    # Exchange: MS-OXNSPI, MS-OXABREF, MS-OXCRPC.
    ("f5cc5a18-4264-101a-8c59-08002b2f8426", "nspi", """
        NspiBind NspiUnbind NspiUpdateStat NspiQueryRows NspiSeekEntries NspiGetMatches
        NspiResortRestriction NspiDNToEph NspiGetPropList NspiGetProps NspiCompareMIds
        NspiModProps NspiGetSpecialTable NspiGetTemplateInfo NspiModLinkAtt - NspiQueryColumns
        - - NspiGetNamesFromIDs NspiGetIDsFromNames NspiResolveNamesW"""),
    ("1544f5e0-613c-11d1-93df-00c04fd7bd09", "exchange_rfr",
     "RfrGetNewDSA RfrGetFQDNFromServerDN"),
    ("a4f1db00-ca47-1067-b31f-00dd010662da", "exchange_mapi", """
        EcDoConnect EcDoDisconnect EcDoRpc EcGetMoreRpc EcRRegisterPushNotification
        EcRUnregisterPushNotification EcDummyRpc EcRGetDCName EcRNetGetDCName EcDoRpcExt
        EcDoConnectEx EcDoRpcExt2 EcUnknown0xC EcUnknown0xD EcDoAsyncConnectEx"""),
    ("5261574a-4572-206e-b268-6b199213b4e4", "AsyncEMSMDB", "EcDoAsyncWaitEx"),
    # MS-RAIW.
    ("45f52c28-7f9f-101a-b52b-08002b2efabe", "winspipe", """
        R_WinsRecordAction R_WinsStatus R_WinsTrigger R_WinsDoStaticInit R_WinsDoScavenging
        R_WinsGetDbRecs R_WinsTerm R_WinsBackup R_WinsDelDbRecs R_WinsPullRange
        R_WinsSetPriorityClass R_WinsResetCounters R_WinsWorkerThdUpd R_WinsGetNameAndAdd
        R_WinsGetBrowserNames_Old R_WinsDeleteWins R_WinsSetFlags R_WinsGetDbRecsByName
        R_WinsStatusWHdl R_WinsDoScavengingNew"""),
    # MS-MSRP.
    ("17fdd703-1827-4e34-79d4-24a55c53bb37", "msgsvc", """
        NetrMessageNameAdd NetrMessageNameEnum NetrMessageNameGetInfo NetrMessageNameDel"""),
    ("5a7b91f8-ff00-11d0-a9b2-00c04fb6e6fc", "msgsvcsend", "NetrSendMessage"),
    # MS-W32T.
    ("8fb6d884-2388-11d0-8c35-00c04fda2795", "W32Time", """
        W32TimeSync W32TimeGetNetlogonServiceBits W32TimeQueryProviderStatus
        W32TimeQuerySource W32TimeQueryProviderConfiguration W32TimeQueryConfiguration
        W32TimeQueryStatus W32TimeLog"""),
    # MS-DLTW, MS-DLTM.
    ("300f3532-38cc-11d0-a3f0-0020af6b0add", "trkwks",
     "- - - - - - - - - - - - LnkSearchMachine"),
    ("4da1c422-943d-11d1-acae-00c04fc2aa3f", "trksvr", "LnkSvrMessage"),
    # MS-DHCPM: names alone; MS-RRASM, MS-CMRP, MS-FASP the same.
    ("6bffd098-a112-3610-9833-46c3f874532d", "dhcpsrv", ""),
    ("5b821720-f63b-11d0-aad2-00c04fc324db", "dhcpsrv2", ""),
    ("8f09f000-b7ed-11ce-bbd2-00001a181cad", "dimsvc", ""),
    ("b97db8b2-4c63-11cf-bff6-08002be23f2f", "clusapi", ""),
    ("6b5bdd1e-528c-422c-af8c-a4079be4fe48", "RemoteFW", ""),
    ("2f5f6521-cb55-1059-b446-00df0bce31db", "tapsrv",
     "ClientAttach ClientRequest ClientDetach"),
    ("20610036-fa22-11cf-9823-00a0c911e5df", "RASRPC", ""),
    ("b9785960-524f-11df-8b6d-83dcded72085", "ISDKey", "GetKey"),
    ("c9ac6db5-82b7-4e55-ae8a-e464ed7b4277", "SysNtfy", ""),
    ("12b81e99-f207-4a4c-85d3-77b42f76fd14", "ISeclogon",
     "SeclCreateProcessWithLogonW SeclCreateProcessWithLogonExW"),
    ("8d0ffe72-d252-11d0-bf8f-00c04fd9126b", "IKeySvc", """
        KeyrOpenKeyService KeyrEnumerateProviders KeyrEnumerateProviderTypes
        KeyrEnumerateProvContainers KeyrCloseKeyService KeyrGetDefaultProvider
        KeyrSetDefaultProvider KeyrEnroll KeyrExportCert KeyrImportCert
        KeyrEnumerateAvailableCertTypes KeyrEnumerateCAs KeyrEnroll_V2
        KeyrQueryRequestStatus"""),
    ("68b58241-c259-4f03-a2e5-a2651dcbc930", "IKeySvc2",
     "KSrSubmitRequest KSrGetTemplates KSrGetCAs"),
    ("0d72a7d4-6148-11d1-b4aa-00c04fb66ea0", "ICertProtect", "SSCertProtectFunction"),
    ("f50aac00-c7f3-428e-a022-a6b71bfb9d43", "ICatDBSvc", """
        SSCatDBAddCatalog SSCatDBDeleteCatalog SSCatDBEnumCatalogs
        SSCatDBRegisterForChangeNotification KeyrCloseKeyService SSCatDBRebuildDatabase"""),
    ("8d9f4e40-a03d-11ce-8f69-08003e30051b", "pnp", """
        PNP_Disconnect PNP_Connect PNP_GetVersion PNP_GetGlobalState PNP_InitDetection
        PNP_ReportLogOn PNP_ValidateDeviceInstance PNP_GetRootDeviceInstance
        PNP_GetRelatedDeviceInstance PNP_EnumerateSubKeys PNP_GetDeviceList
        PNP_GetDeviceListSize PNP_GetDepth PNP_GetDeviceRegProp PNP_SetDeviceRegProp
        PNP_GetClassInstance PNP_CreateKey PNP_DeleteRegistryKey PNP_GetClassCount
        PNP_GetClassName PNP_DeleteClassKey PNP_GetInterfaceDeviceAlias
        PNP_GetInterfaceDeviceList PNP_GetInterfaceDeviceListSize
        PNP_RegisterDeviceClassAssociation PNP_UnregisterDeviceClassAssociation
        PNP_GetClassRegProp PNP_SetClassRegProp PNP_CreateDevInst PNP_DeviceInstanceAction
        PNP_GetDeviceStatus PNP_SetDeviceProblem PNP_DisableDevInst PNP_UninstallDevInst
        PNP_AddID PNP_RegisterDriver PNP_QueryRemove PNP_RequestDeviceEject
        PNP_IsDockStationPresent PNP_RequestEjectPC PNP_HwProfFlags PNP_GetHwProfInfo
        PNP_AddEmptyLogConf PNP_FreeLogConf PNP_GetFirstLogConf PNP_GetNextLogConf
        PNP_GetLogConfPriority PNP_AddResDes PNP_FreeResDes PNP_GetNextResDes
        PNP_GetResDesData PNP_GetResDesDataSize PNP_ModifyResDes PNP_DetectResourceConflict
        PNP_QueryResConfList PNP_SetHwProf PNP_QueryArbitratorFreeData
        PNP_QueryArbitratorFreeSize PNP_RunDetection PNP_RegisterNotification
        PNP_UnregisterNotification PNP_GetCustomDevProp PNP_GetVersionInternal
        PNP_GetBlockedDriverInfo PNP_GetServerSideDeviceInstallFlags PNP_GetObjectPropKeys
        PNP_GetObjectProp PNP_SetObjectProp PNP_InstallDevInst PNP_ApplyPowerSettings
        PNP_DriverStoreAddDriverPackage PNP_DriverStoreDeleteDriverPackage
        PNP_RegisterServiceNotification PNP_SetActiveService PNP_DeleteServiceDevices"""),
    ("57674cd0-5200-11ce-a897-08002b2e9c6d", "lls_license",
     "LlsrLicenseRequestW LlsrLicenseFree"),
    ("342cfd40-3c6c-11ce-a893-08002b2e9c6d", "llsrpc", """
        LlsrConnect LlsrClose LlsrLicenseEnumW LlsrLicenseEnumA LlsrLicenseAddW
        LlsrLicenseAddA LlsrProductEnumW LlsrProductEnumA LlsrProductAddW LlsrProductAddA
        LlsrProductUserEnumW LlsrProductUserEnumA LlsrProductServerEnumW
        LlsrProductServerEnumA LlsrProductLicenseEnumW LlsrProductLicenseEnumA
        LlsrUserEnumW LlsrUserEnumA LlsrUserInfoGetW LlsrUserInfoGetA LlsrUserInfoSetW
        LlsrUserInfoSetA LlsrUserDeleteW LlsrUserDeleteA LlsrUserProductEnumW
        LlsrUserProductEnumA LlsrUserProductDeleteW LlsrUserProductDeleteA
        LlsrMappingEnumW LlsrMappingEnumA LlsrMappingInfoGetW LlsrMappingInfoGetA
        LlsrMappingInfoSetW LlsrMappingInfoSetA LlsrMappingUserEnumW LlsrMappingUserEnumA
        LlsrMappingUserAddW LlsrMappingUserAddA LlsrMappingUserDeleteW
        LlsrMappingUserDeleteA LlsrMappingAddW LlsrMappingAddA LlsrMappingDeleteW
        LlsrMappingDeleteA LlsrServerEnumW LlsrServerEnumA LlsrServerProductEnumW
        LlsrServerProductEnumA LlsrLocalProductEnumW LlsrLocalProductEnumA
        LlsrLocalProductInfoGetW LlsrLocalProductInfoGetA LlsrLocalProductInfoSetW
        LlsrLocalProductInfoSetA LlsrServiceInfoGetW LlsrServiceInfoGetA
        LlsrServiceInfoSetW LlsrServiceInfoSetA LlsrReplConnect LlsrReplClose
        LlsrReplicationRequestW LlsrReplicationServerAddW
        LlsrReplicationServerServiceAddW LlsrReplicationServiceAddW
        LlsrReplicationUserAddW LlsrProductSecurityGetW LlsrProductSecurityGetA
        LlsrProductSecuritySetW LlsrProductSecuritySetA LlsrProductLicensesGetA
        LlsrProductLicensesGetW LlsrCertificateClaimEnumA LlsrCertificateClaimEnumW
        LlsrCertificateClaimAddCheckA LlsrCertificateClaimAddCheckW
        LlsrCertificateClaimAddA LlsrCertificateClaimAddW LlsrReplicationCertDbAddW
        LlsrReplicationProductSecurityAddW LlsrReplicationUserAddExW LlsrCapabilityGet
        LlsrLocalServiceEnumW LlsrLocalServiceEnumA LlsrLocalServiceAddA
        LlsrLocalServiceAddW LlsrLocalServiceInfoSetW LlsrLocalServiceInfoSetA
        LlsrLocalServiceInfoGetW LlsrLocalServiceInfoGetA LlsrCloseEx"""),
    ("3faf4738-3a21-4307-b46c-fdda9bb8c0d5", "AudioSrv", """
        gfxCreateZoneFactoriesList gfxCreateGfxFactoriesList gfxCreateGfxList gfxRemoveGfx
        gfxAddGfx gfxModifyGx gfxOpenGfx gfxLogon gfxLogoff
        winmmRegisterSessionNotificationEvent winmmUnregisterSessionNotification
        winmmSessionConnectState wdmDriverOpenDrvRegKey winmmAdvisePreferredDeviceChange
        winmmGetPnpInfo"""),
    ("c386ca3e-9061-4a72-821e-498d83be188f", "AudioRpc", ""),
    ("3c4728c5-f0ab-448b-bda1-6ce01eb0a6d5", "RpcSrvDHCPC", """
        RpcSrvEnableDhcp RpcSrvRenewLease RpcSrvRenewLeaseByBroadcast RpcSrvReleaseLease
        RpcSrvSetFallbackParams RpcSrvGetFallbackParams RpcSrvFallbackRefreshParams
        RpcSrvStaticRefreshParams RpcSrvRemoveDnsRegistrations RpcSrvRequestParams
        RpcSrvPersistentRequestParams RpcSrvRegisterParams RpcSrvDeRegisterParams
        RpcSrvEnumInterfaces RpcSrvQueryLeaseInfo RpcSrvSetClassId RpcSrvGetClassId
        RpcSrvSetClientId RpcSrvGetClientId RpcSrvNotifyMediaReconnected
        RpcSrvGetOriginalSubnetMask RpcSrvSetMSFTVendorSpecificOptions
        RpcSrvRequestCachedParams RpcSrvRegisterConnectionStateNotification
        RpcSrvDeRegisterConnectionStateNotification RpcSrvGetNotificationStatus
        RpcSrvGetDhcpServicedConnections"""),
    ("3c4728c5-f0ab-448b-bda1-6ce01eb0a6d6", "dhcpcsvc6", """
        RpcSrvRequestPrefix RpcSrvRenewPrefix RpcSrvReleasePrefix RpcSrvRequestParams"""),
    ("2f59a331-bf7d-48cb-9ec5-7c090d76e8b8", "lcrpc", """
        RpcLicensingOpenServer RpcLicensingCloseServer RpcLicensingLoadPolicy
        RpcLicensingUnloadPolicy RpcLicensingSetPolicy RpcLicensingGetAvailablePolicyIds
        RpcLicensingGetPolicy RpcLicensingGetPolicyInformation
        RpcLicensingDeactivateCurrentPolicy"""),
    ("83da7c00-e84f-11d2-9807-00c04f8ec850", "sfcapi", """
        SfcSrv_GetNextProtectedFile SfcSrv_IsFileProtected SfcSrv_FileException
        SfcSrv_InitiateScan SfcSrv_PurgeCache SfcSrv_SetCacheSize SfcSrv_SetDisable
        SfcSrv_InstallProtectedFiles"""),
    ("2f5f3220-c126-1076-b549-074d078619da", "nddeapi", """
        NDdeShareAddW NDdeShareDelA NDdeShareDelW NDdeGetShareSecurityA
        NDdeGetShareSecurityW NDdeSetShareSecurityA NDdeSetShareSecurityW NDdeShareEnumA
        NDdeShareEnumW NDdeShareGetInfoW NDdeShareSetInfoW NDdeSetTrustedShareA
        NDdeSetTrustedShareW NDdeGetTrustedShareA NDdeGetTrustedShareW
        NDdeTrustedShareEnumA NDdeTrustedShareEnumW - NDdeSpecialCommand"""),
    ("51c82175-844e-4750-b0d8-ec255555bc06", "KMS", ""),
    ("c8cb7687-e6d3-11d2-a958-00c04f682e16", "DAV RPC SERVICE", ""),
    ("3d267954-eeb7-11d1-b94e-00c04fa3080d", "HydraLsPipe", ""),
    ("906b0ce0-c70b-1067-b317-00dd010662da", "IXnRemote",
     "Poke BuildContext NegotiateResources SendReceive TearDownContext BeginTearDown PokeW "
     "BuildContextW"),
)

# UUID -> (name, functions by number; None where one has no name).
INTERFACES: dict[str, tuple[str, tuple[str | None, ...]]] = {
    uuid: (name, tuple(None if word == "-" else word for word in words.split()))
    for uuid, name, words in _TABLE
}

# What is asked for so often that Zeek leaves it out by default.
IGNORED: dict[str, frozenset[str]] = {
    "winreg": frozenset({
        "BaseRegCloseKey", "BaseRegGetVersion", "BaseRegOpenKey", "BaseRegQueryValue",
        "BaseRegDeleteKeyEx", "OpenLocalMachine", "BaseRegEnumKey", "OpenClassesRoot",
    }),
    "spoolss": frozenset({"RpcSplOpenPrinter", "RpcClosePrinter"}),
    "wkssvc": frozenset({"NetrWkstaGetInfo"}),
}

# The interface that a pipe is for, where its binding was not seen.
PIPES = {
    "winreg": "338cd001-2244-31f1-aaaa-900038001003",
    "spoolss": "12345678-1234-abcd-ef00-0123456789ab",
    "srvsvc": "4b324fc8-1670-01d3-1278-5a47bf6ee188",
    "lsarpc": "12345778-1234-abcd-ef00-0123456789ab",
    "samr": "12345778-1234-abcd-ef00-0123456789ac",
    "netlogon": "12345678-1234-abcd-ef00-01234567cffb",
    "wkssvc": "6bffd098-a112-3610-9833-46c3f87e345a",
    "svcctl": "367abb81-9844-35f1-ad32-98f038001003",
    "atsvc": "1ff70682-0a51-30e8-076d-740be8cee98b",
    "eventlog": "82273fdc-e32a-18c3-3f78-827929dc23ea",
    "netdfs": "4fc742e0-4a10-11cf-8273-00aa004ae673",
}
