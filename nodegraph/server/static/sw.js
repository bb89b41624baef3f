(function() {
	// src/pwa/shell.ts
	var PREFIX = "nodegraph-shell";
	/** Addresses of the page below the worker's own. */
	var PAGES = /* @__PURE__ */ new Set(["", "generate"]);
	/** Files beside the page that keep their name when they change. */
	var NAMED = [
		"favicon.svg",
		"manifest.webmanifest",
		"icon-192.png",
		"icon-512.png"
	];
	/** What a proxy says of a server that is away. */
	var AWAY = /* @__PURE__ */ new Set([
		502,
		503,
		504
	]);
	/** Files that are fetched at once: the page has work of its own meanwhile. */
	var AT_ONCE = 4;
	function startShell(scope, { build, files }) {
		const base = new URL("./", scope.location.href).href;
		const prefix = `${PREFIX} ${base} `;
		const name = prefix + build;
		scope.addEventListener("install", (event) => event.waitUntil(keepAll().then(() => scope.skipWaiting())));
		scope.addEventListener("activate", (event) => event.waitUntil(dropOld().then(() => scope.clients.claim())));
		scope.addEventListener("fetch", (event) => {
			const answer = answerOf(event.request);
			if (answer !== null) event.respondWith(answer);
		});
		function answerOf(request) {
			if (request.method !== "GET" || !request.url.startsWith(base)) return null;
			const path = new URL(request.url).pathname.slice(new URL(base).pathname.length);
			if (request.mode === "navigate") return PAGES.has(path) ? newest(request, base) : null;
			if (path.startsWith("assets/")) return keptOr(request);
			return NAMED.includes(path) ? newest(request, request.url) : null;
		}
		/** From the server; what is kept where that is away. */
		async function newest(request, key) {
			const kept = () => keptIn(name, key);
			try {
				const answer = await scope.fetch(request);
				return AWAY.has(answer.status) ? await kept() ?? answer : answer;
			} catch (error) {
				const answer = await kept();
				if (answer === void 0) throw error;
				return answer;
			}
		}
		/** What is kept of any build, for its name tells its content; else from the server. */
		async function keptOr(request) {
			return await keptFile(request.url) ?? scope.fetch(request);
		}
		async function keptFile(url) {
			for (const key of await ownCaches()) {
				const found = await keptIn(key, url);
				if (found !== void 0) return found;
			}
		}
		function keptIn(cacheName, url) {
			return scope.caches.match(url, {
				...LOOSELY,
				cacheName
			});
		}
		/** Keep all of this build, or nothing: half a page would be worse than none. */
		async function keepAll() {
			if (await keptIn(name, base) !== void 0) return;
			try {
				const page = await fetched(base, "no-cache");
				checkPage(await page.clone().text(), files);
				const cache = await scope.caches.open(name);
				const left = [...files, ...NAMED];
				const work = async () => {
					for (let path = left.pop(); path !== void 0; path = left.pop()) {
						const url = base + path;
						const isHashed = path.startsWith("assets/");
						const known = isHashed ? await keptFile(url) : void 0;
						await cache.put(url, known ?? await fetched(url, isHashed ? "default" : "no-cache"));
					}
				};
				await Promise.all(Array.from({ length: AT_ONCE }, work));
				await cache.put(base, page);
			} catch (error) {
				await scope.caches.delete(name);
				throw error;
			}
		}
		/** An answer that is what was asked for: one to log in, or of a proxy, isn't. */
		async function fetched(url, cache) {
			const answer = await scope.fetch(url, {
				cache,
				credentials: "same-origin"
			});
			if (!answer.ok || answer.redirected) throw new Error(`${url} answered ${answer.status}`);
			return answer;
		}
		/** The caches of this server, the newest first. */
		async function ownCaches() {
			return (await scope.caches.keys()).filter((key) => key.startsWith(prefix)).reverse();
		}
		async function dropOld() {
			const others = (await ownCaches()).filter((key) => key !== name);
			for (const key of others.slice(1)) await scope.caches.delete(key);
		}
	}
	/** The same file comes packed in several ways, and a page's address may carry a question. */
	var LOOSELY = {
		ignoreVary: true,
		ignoreSearch: true
	};
	/** Names of the files that a page loads first, below its own address. */
	function filesOf(page) {
		return [...page.matchAll(/(?:src|href)="[^"]*?(assets\/[\w.-]+)"/g)].map(([, path = ""]) => path);
	}
	/** The page that the server has just now must be of this build. */
	function checkPage(page, files) {
		const strange = filesOf(page).find((path) => !files.includes(path));
		if (strange !== void 0) throw new Error(`${strange} is of another build`);
	}
	// src/pwa/worker.ts
	/** The service worker: built by itself into `sw.js`, see scripts/serviceWorker.ts. */
	startShell(self, {
		build: "89bd3c2592d05adc",
		files: [
			"assets/AboutDialog-BLsAZFnH.css",
			"assets/AboutDialog-CdoG5D0y.js",
			"assets/AppMode-BB0ssaVm.css",
			"assets/AppMode-CFUkkKSa.js",
			"assets/CardPlayer-BLzQKzUg.css",
			"assets/CardPlayer-DRtKvkKF.js",
			"assets/CommentsPanel-C_wbsLPl.js",
			"assets/CommentsPanel-DsPAkIiz.css",
			"assets/Completing-DdWeFkOB.js",
			"assets/FailureDialog-B3Na6yK7.js",
			"assets/FailureDialog-BUz8SToB.css",
			"assets/FileView-B6KIcjz2.js",
			"assets/FrameSteps-CTnmj9qQ.js",
			"assets/GalleryPanel-BCo6xYDY.js",
			"assets/GalleryPanel-DlAKDohi.css",
			"assets/GeneratePage-DEeALghJ.css",
			"assets/GeneratePage-Dyx5dI9J.js",
			"assets/GeneratePage-rOjLiu-y.css",
			"assets/GeneratePage.module-BB7S_THc.js",
			"assets/GetModels-0Olq9xak.css",
			"assets/GetModels-Z8KKWUK3.js",
			"assets/GetModelsDialog-BxxOvNZh.js",
			"assets/GridDialog-BB2-wwqo.css",
			"assets/GridDialog-oqq6KJ2q.js",
			"assets/HelpPanel-5jV0HN1b.js",
			"assets/HelpPanel-DcaHd0j0.css",
			"assets/HistoryPanel-CBXjZVST.css",
			"assets/HistoryPanel-Vbaba5y0.js",
			"assets/InspectorPanel-9GX9qEyU.js",
			"assets/InspectorPanel-CWkpfNyj.css",
			"assets/InstallPack-CiJYUrON.js",
			"assets/LackingDialog-Dk_VjcFD.js",
			"assets/LessonHost-B7n0cK7U.js",
			"assets/LessonHost-p8QkUvIy.css",
			"assets/License-ChsO7aGu.css",
			"assets/License-KjyzcgRC.js",
			"assets/LivePlot-CFlMQtYe.js",
			"assets/LivePlotDialog-pHX5irjk.js",
			"assets/Marks-BDqSMrQz.css",
			"assets/Marks-LEeY-8JM.js",
			"assets/MaskDialog-BwuJeEJ6.js",
			"assets/MaskDialog-PzaAcCfv.css",
			"assets/MissingDialog-xvAj60rF.js",
			"assets/ModelsPanel-B6Ozzbje.js",
			"assets/ModelsPanel-BuHRhjkV.css",
			"assets/MoleculeView-BrPEnpLb.js",
			"assets/MoleculeView-cwxGmPwl.css",
			"assets/NodePresetsDialog-CN1B1lpS.css",
			"assets/NodePresetsDialog-DUtGcRgZ.js",
			"assets/OpenDialog-CoMke-x3.css",
			"assets/OpenDialog-KYdsdlHi.js",
			"assets/OrganizeDialog-LMnFPbBA.js",
			"assets/PackPanel-BwI4Oy48.css",
			"assets/PackPanel-uLczAq4M.js",
			"assets/PacksDialog-2KRh3Jor.js",
			"assets/PacksDialog-B-4kpPmG.css",
			"assets/PaintingView-Ctjxzm8Q.js",
			"assets/PaintingView-vwScJV5K.css",
			"assets/PalettePanel-DImUspSi.js",
			"assets/PalettePanel-XJSsuStS.css",
			"assets/ParametersPanel-DUQYWiXy.css",
			"assets/ParametersPanel-DaC8cmg2.js",
			"assets/PlotFile-ua8RItHj.js",
			"assets/PlotView-C6RkZ8GR.js",
			"assets/PlotView-DfOGfp91.css",
			"assets/Presence-CtL102m7.js",
			"assets/Presence-UshiLqxF.css",
			"assets/ProblemHelp-WZ4r24xo.css",
			"assets/ProblemHelp-zWPeF4bq.js",
			"assets/ProblemsPanel-BV69zmla.js",
			"assets/ProblemsPanel-CWciQVSB.css",
			"assets/QueuePanel-C4hsy1HY.js",
			"assets/QueuePanel-DJU5SmuH.css",
			"assets/ResultPanel-Bbn9S1mi.css",
			"assets/ResultPanel-CJ-TRKUn.js",
			"assets/RowsDialog-Bb87nisJ.js",
			"assets/RowsDialog-COdhZ5qf.css",
			"assets/SaveAsDialog-BkP6K3Fc.css",
			"assets/SaveAsDialog-CvvZK4Eu.js",
			"assets/Section-DGLvzWe1.css",
			"assets/Section-WKYWYPsi.js",
			"assets/SendDialog-CBDSxj10.js",
			"assets/SendDialog-Zi8I-Aw1.css",
			"assets/SettingsDialog-D--EpzHH.css",
			"assets/SettingsDialog-Dax7jODN.js",
			"assets/ShapeView-BNsYIWvT.js",
			"assets/ShareDialog-B9tr0OoE.css",
			"assets/ShareDialog-CjGcTyjL.js",
			"assets/ShortcutsDialog-C7QcByMo.css",
			"assets/ShortcutsDialog-D46r6V24.js",
			"assets/SmallPlot-ObzEob7B.js",
			"assets/SoundPlayer-BefL3iB0.js",
			"assets/SoundPlayer-DaSCWQbY.css",
			"assets/SpaceStage-D8SuZi-5.js",
			"assets/SpaceStage-WTWaF1eO.css",
			"assets/Stars-Bya5qWik.css",
			"assets/Stars-D1mcsfPl.js",
			"assets/SweepDialog-D--Dbub8.css",
			"assets/SweepDialog-p0XtUNP6.js",
			"assets/TextFile-BrcMOGJi.js",
			"assets/ToolFields-BrxoZMy2.css",
			"assets/ToolFields-Db7dCPoi.js",
			"assets/TranslatedDialog-B-M1267w.js",
			"assets/VideoPlayer-OtnyzFI7.css",
			"assets/VideoPlayer-f1crov-m.js",
			"assets/Viewer-BaKI-l6j.css",
			"assets/Viewer-Bnf-ytqp.js",
			"assets/actions-BkEGwEaR.js",
			"assets/browser-CNUOa7fH.js",
			"assets/bytes-mA_wSl9b.js",
			"assets/chooseFile-qXRWmMfJ.js",
			"assets/de-D07tKtbp.js",
			"assets/de-mtXZhYT-.js",
			"assets/download-qrOJwrrJ.js",
			"assets/draftLink-DUrtJKn2.js",
			"assets/ellipsis-vertical-Br_pK0n2.js",
			"assets/en-8z-xnYHb.js",
			"assets/en-BImwFuxO.js",
			"assets/encoder.worker-Bq0-6_QS.js",
			"assets/engine-DyhPnM7q.js",
			"assets/es-BMj_fhlU.js",
			"assets/es-C96QjH3x.js",
			"assets/exportSvg-DdjtMfSQ.js",
			"assets/exporting-D3otG8TS.js",
			"assets/eye-off-z6aZN8p-.js",
			"assets/fr-B7AQLAsI.js",
			"assets/fr-B9HXqkXm.js",
			"assets/frames-So9w8taM.js",
			"assets/graph-BCgtgA7T.js",
			"assets/graph-D4Cqm9Zo.css",
			"assets/grid-Bre8C10W.js",
			"assets/grid-DrlUplkW.js",
			"assets/icons-CAmd6XwK.js",
			"assets/importing-BCClL00S.js",
			"assets/index-B1Lzbfr9.css",
			"assets/index-DyPhoRjg.js",
			"assets/install-BjhnAX3i.js",
			"assets/ja-C9jnq-Um.js",
			"assets/ja-wgsREnFe.js",
			"assets/kit-C71rNCQa.css",
			"assets/kit-Dv5GFniK.js",
			"assets/layerActions-mrmQmDcx.js",
			"assets/lessons-cwM22SfT.js",
			"assets/modelOffers-C6dq4Nkx.js",
			"assets/mp4-BseSsseR.js",
			"assets/own-Q_e-Rzxo.js",
			"assets/palette-DgVzBRmH.js",
			"assets/pictures-Bg-18cdS.js",
			"assets/playing-WZBvGoOV.js",
			"assets/presets-DUzdNSnE.js",
			"assets/resolve-BceAwklg.js",
			"assets/rolldown-runtime-XKyaHtl9.js",
			"assets/runResults-VXSryQ8F.js",
			"assets/saving-Cf48IGQi.js",
			"assets/share-CjPjcGFI.js",
			"assets/shared-B5Mprs7D.js",
			"assets/shared-Bc1SHRJs.css",
			"assets/start-Gc8PAHmt.js",
			"assets/starting-B73XAN2P.js",
			"assets/states-zRm4tCQY.js",
			"assets/taking-BwluCZ_H.js",
			"assets/typeTexts-BcM68mTD.js",
			"assets/useAnswer-j6dgTyg3.js",
			"assets/useConnection-BkycFHjQ.js",
			"assets/useFile-Do6CXK_X.js",
			"assets/useInfiniteQuery-CrBzO5u4.js",
			"assets/useZoom-C4GTvSdx.js",
			"assets/useZoom-svovF6-A.css",
			"assets/values-Bc5T7Rgl.js",
			"assets/values-cC2eVJzb.js",
			"assets/widgets-CDwRC1i0.js",
			"assets/zh-Hans-DYwZpYGL.js",
			"assets/zh-Hans-RV5hY-SW.js"
		]
	});
})();
